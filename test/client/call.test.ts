import { describe, expect, test } from 'vitest';

import type { Instant } from '../../src/core/clock.js';
import { claimsAsSent, type ClaimsReader } from '../../src/protocol/claims.js';
import { Deadline } from '../../src/resilience/deadline.js';
import { Call, type CallOptions } from '../../src/client/call.js';
import { ServiceToken, type TokenSource } from '../../src/client/token.js';
import type { ServerRequest, ServerResponse, Transport } from '../../src/transport/transport.js';
import { FakeClock } from '../helpers/clock.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const KEY = 'sk-good-0123456789abcdef';
const TOKEN = 'service-token-0123456789';
const TIMEOUT = 2_000;
const never = new Promise<never>(() => undefined);

type Step = ServerResponse | Error | 'hang' | (() => Promise<ServerResponse>);

interface Setup extends Partial<Omit<CallOptions<unknown>, 'clock'>> {
  readonly source?: TokenSource;
  readonly shares?: boolean;
}

/** An inquiry over a transport that takes these steps, one for each request; the last one again and again. */
function inquiry(steps: readonly Step[], { source = TOKEN, shares = true, ...settings }: Setup = {}) {
  const clock = new FakeClock();
  const requests: ServerRequest[] = [];
  const aborts: Error[] = [];
  const sent: (Instant | undefined)[] = [];
  const transport: Transport = {
    send(request) {
      const step = steps[Math.min(requests.length, steps.length - 1)];
      requests.push(request);
      const answer = async (): Promise<ServerResponse> => {
        if (step === undefined || step === 'hang') return await never;
        if (step instanceof Error) throw step;
        return typeof step === 'function' ? await step() : step;
      };
      return { response: answer(), abort: (reason) => aborts.push(reason) };
    },
  };
  const token = new ServiceToken(source);
  const it = new Call<unknown>(
    {
      verifyUrl: 'http://admin.test/verify',
      scope: undefined,
      retries: 1,
      readClaims: claimsAsSent,
      clock,
      random: () => 0,
      ...settings,
    },
    { transport, token, shares },
    KEY,
    (at) => sent.push(at),
  );
  const start = clock.monotonic();
  return {
    it,
    clock,
    requests,
    aborts,
    sent,
    token,
    /** How much time passed. */
    passed: () => clock.monotonic() - start,
    run: async (timeoutMs = TIMEOUT) => {
      const outcome = it.run(new Deadline(clock, timeoutMs));
      const landed = outcome.then(() => true);
      // A step at a time, so that the clock stands still as soon as there is an outcome.
      const over = async (): Promise<boolean> => await Promise.race([landed, clock.advance(0).then(() => false)]);
      while (!(await over()) && clock.monotonic() - start <= timeoutMs) await clock.advance(50);
      return await outcome;
    },
  };
}

describe('a question', () => {
  test('is sent once where the answer is a verdict, and its age counts from there', async () => {
    const { run, it, requests, sent, clock } = inquiry(
      [response(200, { ...GOOD_BODY, key_id: 'k-1', expires_at: 2e9, plan: 'pro' })],
      { scope: 'cust-A' },
    );
    const askedAt = { wall: clock.wall(), mono: clock.monotonic() };
    const outcome = await run();
    expect(outcome).toEqual({
      result: {
        valid: true,
        source: 'server',
        client: 'acme',
        tenant: 'cust-A',
        keyId: 'k-1',
        claims: { plan: 'pro' },
        verifiedAt: askedAt.wall,
        expiresAt: 2e12,
      },
      maxAgeMs: Infinity,
      askedAt,
    });
    expect('result' in outcome && Object.isFrozen(outcome.result)).toBe(true);
    expect(it.attempts).toBe(1);
    expect(sent).toEqual([askedAt]);
    expect(requests).toMatchObject([
      {
        url: 'http://admin.test/verify',
        headers: { 'x-service-token': TOKEN },
        body: JSON.stringify({ key: KEY, scope: 'cust-A' }),
      },
    ]);
    expect(clock.pending).toBe(0);
  });

  test('has a result without the fields that the server left out', async () => {
    const outcome = await inquiry([response(200, GOOD_BODY)]).run();
    expect('result' in outcome && Object.keys(outcome.result)).toEqual([
      'valid',
      'source',
      'client',
      'tenant',
      'claims',
      'verifiedAt',
    ]);
  });

  test('may be answered by a refusal, with what Cache-Control allows', async () => {
    const headers = { 'content-type': 'application/json', 'cache-control': 'max-age=3' };
    expect(await inquiry([response(200, { valid: false, reason: 'revoked' }, headers)]).run()).toMatchObject({
      result: { valid: false, source: 'server', reason: 'revoked' },
      maxAgeMs: 3_000,
    });
  });
});

describe('a retry', () => {
  test('follows what may be over soon, and its verdict counts from when it was sent', async () => {
    const { run, it, sent, clock } = inquiry([response(503), response(200, GOOD_BODY)], { random: () => 0.5 });
    const first = { wall: clock.wall(), mono: clock.monotonic() };
    const second = { wall: first.wall + 50, mono: first.mono + 50 };
    expect(await run()).toMatchObject({ result: { valid: true, verifiedAt: second.wall }, askedAt: second });
    expect(it.attempts).toBe(2);
    expect(sent).toEqual([first, undefined, second]);
  });

  test('is not made past retries, and the last failure is what is told', async () => {
    const { run, it } = inquiry([response(500), response(502), response(503)], { retries: 1 });
    expect(await run()).toMatchObject({ kind: 'server_error', message: 'keyverify: the key server answered 502' });
    expect(it.attempts).toBe(2);
  });

  test.each([0, 1, 3])('is made up to %i times', async (retries) => {
    const { run, it } = inquiry([new Error('reset')], { retries });
    expect(await run()).toMatchObject({ kind: 'unreachable' });
    expect(it.attempts).toBe(retries + 1);
  });

  test('is not made after what will not be over soon', async () => {
    for (const status of [401, 404, 429, 307]) {
      const { run, it } = inquiry([response(status), response(200, GOOD_BODY)]);
      expect(await run()).toHaveProperty('kind');
      expect(it.attempts).toBe(1);
    }
  });

  test('waits for Retry-After where that is within the deadline, and else is not made', async () => {
    const headers = { 'retry-after': '1' };
    const fits = inquiry([response(503, '', headers), response(200, GOOD_BODY)]);
    expect(await fits.run(1_001)).toHaveProperty('result');
    expect(fits.passed()).toBe(1_000);
    const late = inquiry([response(503, '', headers), response(200, GOOD_BODY)]);
    expect(await late.run(1_000)).toMatchObject({ kind: 'server_error', retryAfterMs: 1_000 });
    expect([late.it.attempts, late.passed()]).toEqual([1, 0]);
    expect(late.sent).toHaveLength(1);
  });

  test('has its share of the time, where the server hangs', async () => {
    const { run, it, aborts, passed } = inquiry(['hang', response(200, GOOD_BODY)]);
    expect(await run()).toHaveProperty('result');
    expect(it.attempts).toBe(2);
    expect(passed()).toBe(1_000);
    expect(aborts.map(({ message }) => message)).toEqual(['the time is up']);
  });
});

describe('a server that hangs', () => {
  test('is waited for until the deadline and no longer, in equal shares', async () => {
    for (const [retries, ms] of [
      [0, [2_000]],
      [1, [1_000, 2_000]],
      [3, [500, 1_000, 1_500, 2_000]],
    ] as const) {
      const left: number[] = [];
      const { run, it, aborts, passed, clock } = inquiry(['hang'], { retries });
      aborts.push = () => left.push(passed());
      expect(await run()).toEqual({
        kind: 'timeout',
        message: 'keyverify: the key server gave no answer in time',
      });
      expect(left).toEqual(ms);
      expect(it.attempts).toBe(retries + 1);
      expect(it.answered).toBe(false);
      expect(clock.pending).toBe(0);
    }
  });
});

describe('the end of a key', () => {
  /** A key that ends 2 s after it was asked about, and an answer during which the clocks do this. */
  const ending = async (passes: (clock: FakeClock) => void): Promise<unknown> => {
    const rig = inquiry([
      async () => {
        passes(rig.clock);
        const endsAt = (askedAt + 2_000) / 1_000;
        return await Promise.resolve(response(200, { ...GOOD_BODY, expires_at: endsAt }));
      },
    ]);
    const askedAt = rig.clock.wall();
    return await rig.run(60_000);
  };
  const EXPIRED = { result: { valid: false, source: 'server', reason: 'expired' } };

  test('may come while the answer is on its way, whichever clock tells', async () => {
    for (const passes of [
      (clock: FakeClock) => clock.jumpMono(2_000),
      (clock: FakeClock) => clock.jumpWall(2_000),
      (clock: FakeClock) => {
        clock.jumpMono(2_000);
        clock.jumpWall(-9_000);
      },
    ])
      expect(await ending(passes)).toMatchObject(EXPIRED);
  });

  test('has not come a millisecond before, on either clock', async () => {
    for (const passes of [
      (clock: FakeClock) => clock.jumpMono(1_999),
      (clock: FakeClock) => clock.jumpWall(1_999),
      () => undefined,
    ])
      expect(await ending(passes)).toMatchObject({ result: { valid: true } });
  });
});

describe('whether the server has answered', () => {
  test.each<[string, Step, boolean]>([
    ['said by a verdict', response(200, GOOD_BODY), true],
    ['said by any other answer', response(503), true],
    ['not said by a silence', 'hang', false],
    ['not said by a failure of the network', new Error('reset'), false],
  ])('is %s', async (_, step, answered) => {
    const { run, it } = inquiry([step]);
    expect(it.answered).toBe(false);
    await run();
    expect(it.answered).toBe(answered);
  });
});

describe('the network', () => {
  test.each([undefined, null, 'text'])('may answer with what is no answer, such as %j', async (nothing) => {
    const { run } = inquiry([async () => await Promise.resolve(nothing as unknown as ServerResponse)]);
    expect(await run()).toMatchObject({
      kind: 'misconfigured',
      message: 'keyverify: what transport, fetch or serviceToken() gave is neither an answer nor an error',
    });
  });

  test('may fail as it likes, also before a request leaves, and tells no secret', async () => {
    const throwing = inquiry([]);
    const { it, clock } = throwing;
    const broken = new Call<unknown>(
      { verifyUrl: 'x', scope: undefined, retries: 0, readClaims: claimsAsSent, clock, random: () => 0 },
      {
        transport: {
          send: ({ body, headers }) => {
            throw new TypeError(`can not send ${body} with ${String(headers['x-service-token'])}`);
          },
        },
        token: new ServiceToken(TOKEN),
        shares: true,
      },
      KEY,
      () => undefined,
    );
    expect(await broken.run(new Deadline(clock, TIMEOUT))).toMatchObject({
      kind: 'unreachable',
      cause: { message: 'can not send {"key":"[redacted]"} with [redacted]' },
    });
    expect([broken.attempts, it.attempts]).toEqual([1, 0]);
  });
});

describe('the service token', () => {
  test('is fetched when it is needed, and the time that takes is no age of the verdict', async () => {
    let give: (token: string) => void = () => undefined;
    const { it, clock, sent } = inquiry([response(200, GOOD_BODY)], {
      source: () => new Promise((resolve) => (give = resolve)),
    });
    const outcome = it.run(new Deadline(clock, TIMEOUT));
    await clock.advance(300);
    expect(sent).toEqual([]);
    give('t-1');
    const askedAt = { wall: clock.wall(), mono: clock.monotonic() };
    expect(await outcome).toMatchObject({ askedAt, result: { verifiedAt: askedAt.wall } });
    expect(sent).toEqual([askedAt]);
  });

  test('is fetched once more where it is refused, as a part of the same attempt', async () => {
    let calls = 0;
    const { run, it, requests } = inquiry([response(401), response(200, GOOD_BODY)], {
      source: () => `token-${++calls}`,
      retries: 0,
    });
    expect(await run()).toHaveProperty('result');
    expect(requests.map(({ headers }) => headers['x-service-token'])).toEqual(['token-1', 'token-2']);
    expect(it.attempts).toBe(2);
  });

  test('is fetched once more only, however often it is refused', async () => {
    let calls = 0;
    const { run, it } = inquiry([response(401)], { source: () => `token-${++calls}`, retries: 5 });
    expect(await run()).toMatchObject({ kind: 'misconfigured', message: expect.stringContaining('401') as string });
    expect([calls, it.attempts]).toEqual([2, 2]);
  });

  test('is not fetched anew for any other refusal', async () => {
    let calls = 0;
    await inquiry([response(403)], { source: () => `token-${++calls}` }).run();
    expect(calls).toBe(1);
  });

  test('is not fetched anew where it is given as a string', async () => {
    const { run, it } = inquiry([response(401)]);
    expect(await run()).toMatchObject({ kind: 'misconfigured' });
    expect(it.attempts).toBe(1);
  });

  test('that can not be had is a misconfiguration, said without the key, and nothing is sent', async () => {
    const { run, it, requests } = inquiry([response(200, GOOD_BODY)], {
      source: () => Promise.reject(new Error(`vault says no to ${KEY}`)),
    });
    expect(await run()).toMatchObject({
      kind: 'misconfigured',
      message: 'keyverify: serviceToken() failed',
      cause: { message: 'vault says no to [redacted]' },
    });
    expect([it.attempts, requests.length]).toEqual([0, 0]);
  });

  test('that does not come in time is one too, and the next one asks anew', async () => {
    let calls = 0;
    const source = async (): Promise<string> => (++calls === 1 ? await never : await Promise.resolve('t-2'));
    const { run, token, passed, sent } = inquiry([response(200, GOOD_BODY)], { source });
    expect(await run()).toEqual({
      kind: 'misconfigured',
      message: 'keyverify: serviceToken() gave no token in time',
      cause: undefined,
    });
    // Half of the time is kept for the retry, although none is made.
    expect(passed()).toBe(1_000);
    expect(sent).toEqual([]);
    expect(await token.fetch(true)).toBe('t-2');
  });

  test('is fetched by each question of its own where promises can not be shared', async () => {
    for (const [shares, expected] of [
      [true, 1],
      [false, 2],
    ] as const) {
      let calls = 0;
      const source = async (): Promise<string> => {
        calls++;
        return await Promise.resolve('t-1');
      };
      const { token, run } = inquiry([response(200, GOOD_BODY)], { source, shares });
      const other = token.fetch(true);
      await run();
      await other;
      expect(calls).toBe(expected);
    }
  });
});

describe('claims', () => {
  const reading = (readClaims: ClaimsReader<unknown>, retries = 0) =>
    inquiry([response(200, { ...GOOD_BODY, plan: 'pro' })], { readClaims, retries });

  test('are what the schema makes of them, now or later', async () => {
    for (const readClaims of [
      () => ({ claims: { plan: 'PRO' } }),
      async () => await Promise.resolve({ claims: { plan: 'PRO' } }),
    ])
      expect(await reading(readClaims).run()).toMatchObject({ result: { claims: { plan: 'PRO' } } });
  });

  test('that do not fit are no verdict', async () => {
    expect(await reading(() => ({ wrong: 'plan, seats' })).run()).toEqual({
      kind: 'invalid_response',
      message: "keyverify: the key server's answer was refused: its claims do not fit the schema: plan, seats",
      cause: undefined,
    });
  });

  test('that take too long to read are no verdict', async () => {
    const { run, passed, clock } = reading(() => never);
    expect(await run()).toEqual({
      kind: 'invalid_response',
      message: "keyverify: the key server's answer was refused: the schema in claims did not finish in time",
      cause: undefined,
    });
    expect(passed()).toBe(TIMEOUT);
    expect(clock.pending).toBe(0);
  });

  test('whose schema throws are no verdict, and its error tells no secret', async () => {
    const { run, it } = reading(() => {
      throw new Error(`odd: ${KEY}, ${TOKEN}`);
    }, 3);
    expect(await run()).toMatchObject({
      kind: 'invalid_response',
      message: "keyverify: the key server's answer was refused: it could not be read",
      cause: { message: 'odd: [redacted], [redacted]' },
    });
    expect(it.attempts).toBe(2);
  });

  test('of a refused key are not read', async () => {
    const { run } = inquiry([response(200, { valid: false, reason: 'revoked' })], {
      readClaims: () => ({ wrong: 'all of it' }),
    });
    expect(await run()).toMatchObject({ result: { valid: false } });
  });
});
