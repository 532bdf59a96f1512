/** Runs another semantic-release plugin on stable releases and skips it on prereleases, whatever its options say. */

interface Config {
  readonly plugin: string;
  readonly [option: string]: unknown;
}
interface Context {
  readonly branch: { readonly type: string };
}
type Step = (config: object, context: Context) => unknown;

// `false` is semantic-release's word for "published nothing"; the other steps ignore what they are given back.
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
