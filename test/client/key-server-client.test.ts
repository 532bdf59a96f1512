import { describe, expect, test } from 'vitest';

import { VerifyFailure, type BreakerState } from 'keyverify';

import type { Verdict } from '../../src/cache/verdict-cache.js';
import { claimsAsSent } from '../../src/protocol/claims.js';
import {
  KeyServerClient,
  type CallStats,
  type KeyServerClientOptions,
  type Question,
} from '../../src/client/key-server-client.js';
import { ServiceToken } from '../../src/client/token.js';
import type { ServerResponse } from '../../src/transport/transport.js';
import { FakeClock } from '../helpers/clock.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const CIRCUIT_OPEN = 'keyverify: the key server is out and is left alone for a while';
const RATE_LIMITED = 'keyverify: the key server limits our rate and is left alone for a while';
const GOOD = response(200, GOOD_BODY);
const OUT = response(503);
const LIMITED = response(429, '', { 'retry-after': '3' });
const out = (code: string): Error => Object.assign(new Error('no'), { code });

/** A key server whose requests a test answers itself, in turn. */
function keyServer(settings: Partial<KeyServerClientOptions<unknown>> = {}, source: () => string = () => 'token-1') {
  const clock = new FakeClock();
  const token = new ServiceToken(source);
  const requests: { readonly key: string; readonly answer: (answer: ServerResponse | Error) => Promise<void> }[] = [];
  const changes: BreakerState[] = [];
  const heard: { verdict: Verdict<unknown>; effort: CallStats }[] = [];
  const it = new KeyServerClient<unknown>(
    {
      verifyUrl: 'http://admin.test/verify',
      scope: undefined,
      retries: 0,
      readClaims: claimsAsSent,
      clock,
      random: () => 0,
      timeoutMs: 2_000,
      maxConcurrency: 8,
      breaker: { failureThreshold: 2, openMs: 1_000, maxOpenMs: 30_000 },
      onBreakerChange: (state) => changes.push(state),
      ...settings,
    },
    {
      transport: {
        send({ body }) {
          const { key } = JSON.parse(body) as { readonly key: string };
          let land: (given: ServerResponse | Promise<never>) => void = () => undefined;
          const answered = new Promise<ServerResponse>((resolve) => (land = resolve));
          const answer = async (given: ServerResponse | Error): Promise<void> => {
            land(given instanceof Error ? Promise.reject(given) : given);
            await clock.advance(0);
          };
          requests.push({ key, answer });
          return { response: answered, abort: () => undefined };
        },
      },
      token,
      shares: true,
    },
  );
  const ask = (key: string, question: Partial<Question<unknown>> = {}) =>
    it.ask({
      key,
      known: false,
      onSend: () => undefined,
      onVerdict: (verdict, _askedAt, effort) => heard.push({ verdict, effort }),
      background: undefined,
      ...question,
    });
  /** Asks, and answers at once. */
  const hear = async (answer: ServerResponse | Error): Promise<unknown> => {
    const asked = ask('sk-1');
    await clock.advance(0);
    await requests.at(-1)?.answer(answer);
    return await asked;
  };
  return { it, clock, token, requests, changes, heard, ask, hear };
}

describe('a question', () => {
  test('is told of its verdict with what it cost', async () => {
    const { ask, requests, clock, heard } = keyServer({ retries: 1, random: () => 0.5 });
    const asked = ask('sk-1');
    await clock.advance(20);
    await requests[0]?.answer(OUT);
    await clock.advance(50);
    await clock.advance(5);
    await requests[1]?.answer(GOOD);
    const result = await asked;
    expect(result).toMatchObject({ valid: true, client: 'acme' });
    expect(heard).toMatchObject([{ verdict: { result, maxAgeMs: Infinity } }]);
    expect(heard[0]?.effort).toEqual({ attempts: 2, durationMs: 75 });
  });

  test('that fails says how often it was asked and how long that took', async () => {
    const { ask, requests, clock, heard } = keyServer();
    const asked = ask('sk-1');
    await clock.advance(30);
    await requests[0]?.answer(response(500, '', { 'retry-after': '7' }));
    expect(await asked).toMatchObject({ kind: 'server_error', attempts: 1, durationMs: 30, retryAfterMs: 7_000 });
    expect(heard).toEqual([]);
  });

  test('about a key that was good goes before those about others', async () => {
    const { ask, requests, it, clock } = keyServer({ maxConcurrency: 1 });
    const asked = [ask('sk-first'), ask('sk-unknown'), ask('sk-known', { known: true })];
    expect(it.load).toEqual({ asking: 1, waiting: 2 });
    await clock.advance(0);
    for (let at = 0; at < 3; at++) await requests[at]?.answer(GOOD);
    await Promise.all(asked);
    expect(requests.map(({ key }) => key)).toEqual(['sk-first', 'sk-known', 'sk-unknown']);
    expect(it.load).toEqual({ asking: 0, waiting: 0 });
  });

  test('that waited for nothing is not asked, and says that it was too much', async () => {
    const { ask, requests, clock } = keyServer({ maxConcurrency: 1 });
    void ask('sk-first');
    const late = ask('sk-late');
    await clock.advance(2_000);
    expect(await late).toMatchObject({
      kind: 'overloaded',
      message: 'keyverify: too many questions wait for the key server already, see maxConcurrency',
      attempts: 0,
    });
    expect(requests).toHaveLength(1);
  });
});

describe('a question that waits for its turn', () => {
  const waiting = async () => {
    const rig = keyServer({ maxConcurrency: 1, breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 30_000 } });
    const asked = { first: rig.ask('sk-first'), second: rig.ask('sk-second') };
    await rig.clock.advance(0);
    return { ...rig, ...asked };
  };

  test('is not asked where the breaker opens meanwhile, and gives its slot back', async () => {
    const { requests, first, second, it } = await waiting();
    await requests[0]?.answer(OUT);
    expect(await first).toMatchObject({ kind: 'server_error' });
    expect(await second).toMatchObject({
      kind: 'circuit_open',
      message: CIRCUIT_OPEN,
      retryAfterMs: 1_000,
      attempts: 0,
    });
    expect(requests).toHaveLength(1);
    expect(it.load).toEqual({ asking: 0, waiting: 0 });
  });

  test('is not asked where the server limits our rate meanwhile, and gives its slot back', async () => {
    const { requests, first, second, it } = await waiting();
    await requests[0]?.answer(LIMITED);
    expect(await first).toMatchObject({ kind: 'rate_limited', retryAfterMs: 3_000 });
    expect(await second).toMatchObject({
      kind: 'rate_limited',
      message: RATE_LIMITED,
      retryAfterMs: 3_000,
      attempts: 0,
    });
    expect(requests).toHaveLength(1);
    expect(it.load).toEqual({ asking: 0, waiting: 0 });
  });
});

describe('the breaker', () => {
  test('closes where a question that was in the air is answered, and the next one is asked', async () => {
    const { hear, ask, it, clock, requests } = keyServer();
    const early = ask('sk-early');
    await clock.advance(0);
    await hear(OUT);
    await hear(OUT);
    expect(it.silence(clock.monotonic())).toBeInstanceOf(VerifyFailure);
    await requests[0]?.answer(GOOD);
    expect(await early).toMatchObject({ valid: true });
    expect(it.silence(clock.monotonic())).toBeUndefined();
    expect(await hear(GOOD)).toMatchObject({ valid: true });
  });

  test.each<[string, ServerResponse | Error, BreakerState]>([
    ['an answer of whatever kind shows that the server is there', response(404), 'closed'],
    ['a rate limit shows it, too', response(429, '', { 'retry-after': '0' }), 'closed'],
    ['a verdict shows it most of all', GOOD, 'closed'],
    ['our own means at an end show nothing', out('EMFILE'), 'open'],
  ])('counts outages in a row: %s', async (_, between, state) => {
    const { hear, it } = keyServer();
    await hear(OUT);
    await hear(between);
    await hear(OUT);
    expect(it.breakerState).toBe(state);
  });

  test('takes a question that never left for no sign of the server', async () => {
    let tokens = ['token-1'];
    const { hear, it, token } = keyServer({}, () => tokens.pop() ?? '');
    await hear(OUT);
    token.refuse('token-1');
    expect(await hear(GOOD)).toMatchObject({ kind: 'misconfigured', attempts: 0 });
    tokens = ['token-2'];
    await hear(OUT);
    expect(it.breakerState).toBe('open');
  });

  test('that is open answers at once, and says how long it will be', async () => {
    const { hear, ask, it, clock, requests, changes } = keyServer();
    await hear(OUT);
    await hear(OUT);
    expect(changes).toEqual(['open']);
    await clock.advance(400);
    const failure = { kind: 'circuit_open', message: CIRCUIT_OPEN, retryAfterMs: 600, attempts: 0 };
    expect(await ask('sk-1')).toMatchObject(failure);
    expect(it.silence(clock.monotonic())).toMatchObject(failure);
    expect(requests).toHaveLength(2);
  });

  test('sends a probe into the background where there is one, and tells of its verdict', async () => {
    const { hear, ask, it, clock, requests, heard } = keyServer();
    await hear(OUT);
    await hear(OUT);
    await clock.advance(1_000);
    const work: Promise<unknown>[] = [];
    expect(await ask('sk-probe', { background: (probe) => work.push(probe) })).toMatchObject({
      kind: 'circuit_open',
      message: CIRCUIT_OPEN,
      retryAfterMs: undefined,
    });
    await requests[2]?.answer(GOOD);
    expect(await work[0]).toMatchObject({ valid: true });
    expect(heard).toHaveLength(1);
    expect(it.breakerState).toBe('closed');
  });

  test('is always closed where there is none', async () => {
    const { hear, it, clock, requests } = keyServer({ breaker: false });
    for (let times = 0; times < 5; times++) await hear(OUT);
    expect(requests).toHaveLength(5);
    expect(it.breakerState).toBe('closed');
    expect(it.silence(clock.monotonic())).toBeUndefined();
  });
});

describe('a rate limit', () => {
  test.each([
    [false, LIMITED, 3_000],
    [{ failureThreshold: 2, openMs: 1_000, maxOpenMs: 30_000 }, LIMITED, 3_000],
    [false, response(429), 1_000],
  ] as const)('keeps everybody quiet until it is over, and no longer (%#)', async (breaker, answer, ms) => {
    const { hear, ask, it, clock, requests } = keyServer({ breaker });
    expect(it.silence(clock.monotonic())).toBeUndefined();
    expect(await hear(answer)).toMatchObject({ kind: 'rate_limited' });
    await clock.advance(ms - 1);
    const silence = it.silence(clock.monotonic());
    expect(silence).toBeInstanceOf(VerifyFailure);
    expect(silence).toMatchObject({ kind: 'rate_limited', message: RATE_LIMITED, retryAfterMs: 1, attempts: 0 });
    expect(it.silence(clock.monotonic())).toBe(silence);
    expect(await ask('sk-1')).toMatchObject({ kind: 'rate_limited', message: RATE_LIMITED, retryAfterMs: 1 });
    expect(requests).toHaveLength(1);
    await clock.advance(1);
    expect(it.silence(clock.monotonic())).toBeUndefined();
    expect(await hear(GOOD)).toMatchObject({ valid: true });
  });
});

describe('a hang-up over HTTPS', () => {
  const HUNG_UP = out('UND_ERR_SOCKET');

  test('of a server that has never answered is no outage: who it is is in doubt', async () => {
    const { hear } = keyServer({ verifyUrl: 'https://admin.test/verify' });
    expect(await hear(HUNG_UP)).toMatchObject({ kind: 'misconfigured', isOutage: false });
  });

  test('of one that has answered, whatever it said, is an outage', async () => {
    const { hear } = keyServer({ verifyUrl: 'https://admin.test/verify' });
    await hear(response(404));
    expect(await hear(HUNG_UP)).toMatchObject({ kind: 'unreachable', isOutage: true });
  });

  test('stays in doubt after a silence, which is no answer', async () => {
    const { hear, ask, clock } = keyServer({ verifyUrl: 'https://admin.test/verify' });
    const silent = ask('sk-1');
    await clock.advance(2_000);
    expect(await silent).toMatchObject({ kind: 'timeout' });
    expect(await hear(HUNG_UP)).toMatchObject({ kind: 'misconfigured' });
  });

  test('is in no doubt over plain HTTP', async () => {
    expect(await keyServer().hear(HUNG_UP)).toMatchObject({ kind: 'unreachable' });
  });

  test('is what it is about, and no other failure', async () => {
    const { hear } = keyServer({ verifyUrl: 'https://admin.test/verify' });
    expect(await hear(out('ECONNREFUSED'))).toMatchObject({ kind: 'unreachable' });
  });
});
