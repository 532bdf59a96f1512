import { defineConfig, mergeConfig } from 'vitest/config';

import base from '../../vitest.config.js';

/** The tests that say much in little time: each mutant runs those of them that reach it. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], typecheck: { enabled: false } } },
  defineConfig({
    test: {
      include: ['test/{cache,http,server}/**/*.test.ts', 'test/{failure,invariants,policy,verifier}.test.ts'],
      exclude: ['**/*.fuzz.test.ts'],
      coverage: { enabled: false },
    },
  }),
);
