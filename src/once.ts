/** Builds it when it is first asked for: schemas take longer to build than the rest of the core takes to load. */
export function once<T extends object>(build: () => T): () => T {
  let built: T | undefined;
  return () => (built ??= build());
}
