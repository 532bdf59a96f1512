import { randomUUID } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { TOKEN } from '../helpers/rig.js';
import {
  REPELLED,
  besiege,
  build,
  crosswise,
  during,
  everyWay,
  getsIn,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';

const poison = (): string => `sk-poison-${randomUUID()}`;

/** A source of tokens that counts its calls. */
interface Tokens {
  calls: number;
  current: string;
}

const SOURCES: readonly { readonly source: string; readonly fetch: (tokens: Tokens) => Promise<string> }[] = [
  {
    source: 'takes longer than a question',
    fetch: async (tokens) => {
      // Whoever has no token yet gets one at once.
      if (tokens.calls > 1) await sleep(1_500);
      return tokens.current;
    },
  },
  {
    source: 'is used up',
    fetch: async (tokens) =>
      tokens.calls > 2 ? await Promise.reject(new Error('too many tokens')) : await Promise.resolve(tokens.current),
  },
  {
    source: 'never answers again',
    fetch: async (tokens) =>
      tokens.calls > 1 ? await new Promise(() => undefined) : await Promise.resolve(tokens.current),
  },
];

describe.concurrent('keys that the server answers 401', () => {
  test.for(crosswise(SOURCES))(
    'keep nobody out where the source of tokens $source; $way, failOpen: $failOpen',
    async ({ fetch, options }, context) => {
      const server = await startServer(context);
      const tokens = { calls: 0, current: TOKEN };
      const serviceToken = async (): Promise<string> => {
        tokens.calls++;
        return await fetch(tokens);
      };
      // Known keys are asked about again and again, too.
      const verifier = build(context, server.url, { ...options, serviceToken, cacheTtlMs: 500, staleIfErrorMs: 0 });
      await settleIn(verifier);
      server.fault = (key) => (key.startsWith('sk-poison-') ? { status: 401 } : undefined);
      const known = newcomer();
      await verifier.verify(known);
      const [siege, results] = await Promise.all([
        besiege(verifier, { ms: 4_000, key: poison, everyMs: 100 }),
        during(4_000, 100, async () => await verifier.verify(known)),
      ]);
      expect(siege).toEqual(REPELLED);
      expect(results.filter((result) => 'failure' in result && result.failure.kind === 'misconfigured')).toEqual([]);
      // The first one, and one a second at most.
      expect(tokens.calls).toBeLessThanOrEqual(6);
    },
  );

  test.for(everyWay([{}]))(
    'do not delay the renewal of a revoked token; $way, failOpen: $failOpen',
    async (row, context) => {
      const server = await startServer(context);
      const tokens = { calls: 0, current: TOKEN };
      const serviceToken = (): string => {
        tokens.calls++;
        return tokens.current;
      };
      const verifier = build(context, server.url, { ...row.options, serviceToken });
      await settleIn(verifier);
      server.fault = (key) => {
        const isRefused = server.asked.at(-1)?.headers['x-service-token'] !== tokens.current;
        return isRefused || key.startsWith('sk-poison-') ? { status: 401 } : undefined;
      };
      const verdicts = Promise.all([
        during(5_000, 50, async () => await verifier.verify(poison())),
        during(5_000, 100, async () => await verifier.verify(newcomer())),
      ]);
      // By now, the next renewal would be due seconds later.
      await sleep(2_500);
      tokens.current = 'another-token-0123456789';
      expect(await getsIn(verifier, newcomer())).toBe(true);
      await verdicts;
    },
  );
});
