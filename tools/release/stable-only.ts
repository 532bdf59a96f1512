/** Runs another semantic-release plugin on stable releases, and skips it on prereleases. */

interface Config {
  readonly plugin: string;
  readonly [option: string]: unknown;
}
interface Context {
  readonly branch: { readonly type: string };
}
type Step = (config: object, context: Context) => unknown;

// `false` tells semantic-release that nothing was published. Other steps ignore the return value.
const onStable =
  (name: string) =>
  async ({ plugin, ...options }: Config, context: Context): Promise<unknown> => {
    if (context.branch.type === 'prerelease') return false;
    const steps = (await import(plugin)) as Record<string, Step>;
    return steps[name]?.(options, context);
  };

export const verifyConditions = onStable('verifyConditions');
export const prepare = onStable('prepare');
export const publish = onStable('publish');
