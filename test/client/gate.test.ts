import { describe, expect, test } from 'vitest';

import { VerifyFailure } from '../../src/core/failure.js';
import { claimsAsSent } from '../../src/protocol/claims.js';
import { KeyServerClient, type KeyServerClientOptions, type Question } from '../../src/client/key-server-client.js';
import { ServiceToken, type TokenSource } from '../../src/client/token.js';
import type { ServerResponse, Transport } from '../../src/transport/transport.js';
import { FakeClock } from '../helpers/clock.js';
import { response } from '../helpers/responses.js';

type Step = ServerResponse | Error;

const OUT = response(503);
const NOT_FOUND = response(404);
const NO_SOCKETS = Object.assign(new Error('too many open files'), { code: 'EMFILE' });

/** A key server that answers in these steps after 40 ms each, the last one again and again. */
function keyServer(
  steps: readonly Step[],
  settings: Partial<KeyServerClientOptions<unknown>> = {},
  source?: TokenSource,
) {
  const clock = new FakeClock();
  let sent = 0;
  const transport: Transport = {
    send() {
      const step = steps[Math.min(sent++, steps.length - 1)];
      const answer = new Promise<ServerResponse>((resolve, reject) => {
        clock.after(40, () => (step instanceof Error ? reject(step) : resolve(step ?? OUT)));
      });
      return { response: answer, abort: () => undefined };
    },
  };
  const server = new KeyServerClient<unknown>(
    {
      verifyUrl: 'http://127.0.0.1/verify',
      scope: undefined,
      retries: 0,
      timeoutMs: 1_000,
      maxConcurrency: 1,
      breaker: { failureThreshold: 2, openMs: 1_000, maxOpenMs: 1_000 },
      readClaims: claimsAsSent,
      clock,
      random: () => 0,
      onBreakerChange: () => undefined,
      ...settings,
    },
    { transport, token: new ServiceToken(source ?? 'service-token'), shares: true },
  );
  const question: Question<unknown> = {
    key: 'sk-1',
    known: true,
    onSend: () => undefined,
    onVerdict: () => undefined,
    background: undefined,
  };
  const start = (): ReturnType<typeof server.ask> => server.ask(question);
  /** Asks, and lets as much time pass as the answer takes. */
  const ask = async (): ReturnType<typeof server.ask> => {
    const asked = start();
    await clock.advance(40);
    return await asked;
  };
  return {
    server,
    clock,
    sent: () => sent,
    start,
    ask,
    async fail(this: void) {
      const outcome = await ask();
      if (!(outcome instanceof VerifyFailure)) throw new Error('it was answered');
      return outcome;
    },
  };
}

describe('outages in a row', () => {
  const opens = async (between: Step, source?: TokenSource) => {
    const it = keyServer([OUT, between, OUT], {}, source);
    for (let i = 0; i < 3; i++) await it.fail();
    return it.server.breakerState === 'open';
  };

  test('are counted on past a failure of our own', async () => {
    expect(await opens(NO_SOCKETS)).toBe(true);
  });

  test('are counted on past a question that never left', async () => {
    let fetched = 0;
    const source = async (): Promise<string> => {
      if (++fetched > 1) throw new Error('there is no other token');
      return await Promise.resolve('service-token');
    };
    const it = keyServer([response(401), OUT, OUT], { maxConcurrency: 4 }, source);
    const asked: Promise<unknown>[] = [];
    for (let i = 0; i < 3; i++) {
      asked.push(it.start());
      await it.clock.advance(10);
    }
    // The first is refused, and its token with it; the second meets an outage; the third is still in the air.
    await it.clock.advance(25);
    expect(await it.start()).toMatchObject({ kind: 'misconfigured', attempts: 0 });
    expect(it.server.breakerState).toBe('closed');
    await it.clock.advance(5);
    await Promise.all(asked);
    expect([it.sent(), it.server.breakerState]).toEqual([3, 'open']);
  });

  test('are ended by any answer, also one that is no verdict', async () => {
    expect(await opens(NOT_FOUND)).toBe(false);
  });
});

describe('silence', () => {
  test('is there while the breaker is open, and is one failure for all', async () => {
    const it = keyServer([OUT]);
    expect(it.server.silence(it.clock.monotonic())).toBeUndefined();
    await it.fail();
    expect(it.server.silence(it.clock.monotonic())).toBeUndefined();
    await it.fail();
    const silence = it.server.silence(it.clock.monotonic());
    expect(silence).toMatchObject({ kind: 'circuit_open', retryAfterMs: 1_000, attempts: 0, durationMs: 0 });
    expect(it.server.silence(it.clock.monotonic() + 999)).toBe(silence);
    expect(it.server.silence(it.clock.monotonic() + 1_000)).toBeUndefined();
  });

  test('ends with the rate limit, also without a breaker', async () => {
    const it = keyServer([response(429, '', { 'retry-after': '2' })], { breaker: false });
    await it.fail();
    expect(it.server.silence(it.clock.monotonic() + 1_999)).toMatchObject({ kind: 'rate_limited' });
    expect(it.server.silence(it.clock.monotonic() + 2_000)).toBeUndefined();
    expect(it.server.breakerState).toBe('closed');
  });

  test('never comes of an outage without a breaker', async () => {
    const it = keyServer([OUT], { breaker: false });
    for (let i = 0; i < 9; i++) expect((await it.fail()).kind).toBe('server_error');
    expect([it.server.breakerState, it.server.silence(it.clock.monotonic())]).toEqual(['closed', undefined]);
  });
});
