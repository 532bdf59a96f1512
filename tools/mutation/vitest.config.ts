import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

import base from '../../vitest.config.js';

const PARTS = /\/test\/(?:cache|http|server)\/|\/(?:failure|policy)\.test\./;
const rank = ({ moduleId }: TestSpecification): number => (PARTS.test(moduleId) ? 0 : 1);

/** The tests of a part before those of the whole: the first that fails is enough, and the small ones are quick. */
class PartsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return await Promise.resolve([...files].sort((a, b) => rank(a) - rank(b)));
  }
}

/** The tests that say much in little time: each mutant runs those of them that reach it. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], typecheck: { enabled: false } } },
  defineConfig({
    test: {
      include: [
        'test/{cache,http,server}/**/*.test.ts',
        'test/{answers.isolate,events,failure,invariants,policy,verifier}.test.ts',
        'test/hostile/*.test.ts',
        'test/adapters/{fetch,koa}.test.ts',
      ],
      exclude: ['**/*.fuzz.test.ts'],
      coverage: { enabled: false },
      sequence: { sequencer: PartsFirst },
      // No test takes a second: what takes ten hangs, on a busy machine too.
      testTimeout: 10_000,
      hookTimeout: 10_000,
    },
  }),
);
