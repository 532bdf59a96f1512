import { testClock } from 'keyverify/testing';

import { Entry } from '../../src/cache/entry.js';
import { VerdictCache } from '../../src/cache/verdict-cache.js';
import { VerdictLoader } from '../../src/client/loader.js';
import { toHex } from '../../src/core/fingerprint.js';
import { VerifyFailure } from '../../src/core/failure.js';
import { rejected } from '../../src/core/result.js';
import type { VerifyOptions } from '../../src/core/verifier.js';
import { ResultCounter } from '../../src/observe/stats.js';
import { Observers } from '../../src/observe/observers.js';
import type { KeyVerifierOptions } from '../../src/options/options.js';
import { resolveOptions } from '../../src/options/resolve.js';
import { sha256 } from '../../src/platform/server.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { URL_AND_TOKEN } from './options.js';
import { FakeTransport } from './transport.js';

export const KEY = 'sk-good-0123456789abcdef';

/** What a load has come to, in the fewest words. */
export interface Loading {
  outcome: string | undefined;
}

/** The entry of a key: as it is cached, or of one that was bad. */
export const entryOf = (cache: VerdictCache<unknown>, key: string): Entry<unknown> =>
  cache.get(sha256(key)) ??
  new Entry(rejected('cache', 'unknown_key'), { wall: 0, mono: 0 }, { ttlMs: 1, refreshAtAge: 1, noStale: false });

/** A loader and its cache, over a transport whose requests the test answers. */
export function loaderOf(options: KeyVerifierOptions<boolean> = {}) {
  const clock = testClock();
  const transport = new FakeTransport();
  const warnings: string[] = [];
  const events: string[] = [];
  let controls = 0;
  const name = (fingerprint: string): string => (fingerprint === toHex(sha256(KEY)) ? 'key' : 'other key');
  const resolved = resolveOptions({
    ...URL_AND_TOKEN,
    transport,
    clock,
    random: () => 0,
    retries: 0,
    controlKey: () => `control-${++controls}`,
    logger: { warn: (message) => warnings.push(message) },
    observers: [
      {
        onVerdict: ({ fingerprint, result, attempts, durationMs }) =>
          events.push(`${name(fingerprint)} ${result.status} ${String(attempts)} ${String(durationMs)}`),
        onFailure: ({ fingerprint, failure }) => events.push(`${name(fingerprint)} ${failure.kind}`),
        onBreaker: ({ state, failure }) => events.push(`breaker ${state} ${String(failure?.kind)}`),
        onControl: ({ failure, durationMs }) => events.push(`control ${String(failure?.kind)} ${String(durationMs)}`),
      },
    ],
    ...options,
  });
  const cache = new VerdictCache(resolved);
  const loader = new VerdictLoader(
    resolved,
    cache,
    new Observers(resolved.observers),
    () => new ResultCounter().snapshot().statuses,
  );
  const load = async (key = KEY, call: VerifyOptions = {}): Promise<Loading> => {
    const loading: Loading = { outcome: undefined };
    void loader.load(sha256(key), key, call).then(
      (outcome) => (loading.outcome = outcome instanceof VerifyFailure ? outcome.kind : outcome.status),
      (reason: unknown) => (loading.outcome = `rejected with ${String(reason)}`),
    );
    await clock.advance(0);
    return loading;
  };
  const answer = async (reply: WireResponse | Error): Promise<void> => {
    transport.latest.answer(reply);
    await clock.advance(0);
  };
  return { clock, transport, requests: transport.requests, warnings, events, cache, loader, load, answer };
}
