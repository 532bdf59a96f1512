import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

import base from '../../vitest.config.js';

const UNITS = /\/test\/(?:cache|client|core|fleet|guard|observe|platform|protocol|resilience|transport)\//;
const rank = ({ moduleId }: TestSpecification): number => (UNITS.test(moduleId) ? 0 : 1);

/** Runs unit tests before the tests of the whole: a mutant is done at the first failure, and unit tests are quicker. */
class UnitsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return await Promise.resolve([...files].sort((a, b) => rank(a) - rank(b)));
  }
}

/** The quick tests. Stryker runs those of them that reach the mutant. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], typecheck: { enabled: false } } },
  defineConfig({
    test: {
      include: [
        'test/{cache,client,core,guard,platform,protocol,resilience,transport}/**/*.test.ts',
        'test/fleet/{edges,event-stream,hostile,memory,options,plain-reads,redis,seal,signed,sse,store-clock,stream-health,suites}.test.ts',
        'test/observe/{channels,fleet,health,logs,observers,otel-metrics,otel-traces,shared-cache,stats}.test.ts',
        'test/{health,invariants,stats,verifier}.test.ts',
        'test/security/*.test.ts',
        'test/adapters/{fetch,koa,lambda,wrong-framework,wrong-handlers}.test.ts',
      ],
      exclude: ['**/*.fuzz.test.ts'],
      coverage: { enabled: false },
      sequence: { sequencer: UnitsFirst },
      // No test takes two seconds, so one that takes ten hangs, on a busy machine too.
      testTimeout: 10_000,
      hookTimeout: 10_000,
    },
  }),
);
