// Only a name here: not every runtime has it.
declare const process: { readonly env: Readonly<Record<string, string | undefined>> } | undefined;

/** An environment variable, where there are any and they may be read. */
export function env(name: string): string | undefined {
  try {
    return typeof process === 'undefined' ? undefined : process.env[name];
  } catch {
    return undefined;
  }
}
