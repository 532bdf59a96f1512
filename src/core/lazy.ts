/** Builds it when it is first asked for, since importing this library shall cost next to nothing. */
export function lazy<T extends object>(build: () => T): () => T {
  let built: T | undefined;
  return () => (built ??= build());
}
