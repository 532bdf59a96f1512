import { describe, expect, it } from 'vitest';

import * as stableOnly from '../../tools/release/stable-only.js';

// Each step hands back what it was called with.
const plugin = `data:text/javascript,${encodeURIComponent(`
  const echo = (options, context) => ({ options, context });
  export { echo as verifyConditions, echo as prepare, echo as publish };
`)}`;
const steps = ['verifyConditions', 'prepare', 'publish'] as const;

describe.each(steps)('%s', (step) => {
  it('runs the wrapped plugin with its own options on a stable release', async () => {
    const context = { branch: { type: 'release' } };

    expect(await stableOnly[step]({ plugin, assets: ['a'] }, context)).toEqual({ options: { assets: ['a'] }, context });
  });

  it('says on a prerelease that nothing was done, whatever the options say', async () => {
    const context = { branch: { type: 'prerelease' } };

    expect(await stableOnly[step]({ plugin, npmPublish: true }, context)).toBe(false);
  });

  it('does nothing when the wrapped plugin has no such step', async () => {
    const context = { branch: { type: 'release' } };

    expect(await stableOnly[step]({ plugin: 'data:text/javascript,export {}' }, context)).toBeUndefined();
  });
});
