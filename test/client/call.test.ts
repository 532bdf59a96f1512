import { describe, expect, test } from 'vitest';

import { TransportError } from '../../src/transport/transport.js';
import { KEY, startCall, TOKEN } from '../helpers/call.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const RESET = new TransportError('unreachable', 'reset');

describe('a question', () => {
  test('is sent once where it is answered, and its age counts from there', async () => {
    const body = { ...GOOD_BODY, key_id: 'k-1', expires_at: 2e9, plan: 'pro' };
    const { end, call, requests, told, startedAt, clock } = startCall({
      scope: 'cust-A',
      replies: [response(200, body)],
    });
    expect(await end()).toEqual({
      result: {
        status: 'verified',
        valid: true,
        source: 'server',
        client: 'acme',
        tenant: 'cust-A',
        keyId: 'k-1',
        claims: { plan: 'pro' },
        verifiedAt: startedAt.wall,
        expiresAt: 2e12,
      },
      freshness: { maxAgeMs: Infinity, noStore: false, noStale: false },
      askedAt: startedAt,
      rawClaims: { plan: 'pro' },
    });
    expect(call).toMatchObject({ attempts: 1, firstSentAt: startedAt.mono, isSent: false });
    expect(told).toEqual({ sent: [startedAt], suspects: 0 });
    expect(requests[0]?.wire).toMatchObject({
      url: 'http://admin.test/verify',
      headers: { 'x-service-token': TOKEN },
      body: JSON.stringify({ key: KEY, scope: 'cust-A' }),
    });
    expect([requests.length, requests[0]?.abortedBy, clock.pending]).toEqual([1, undefined, 0]);
  });

  test('may be answered by a rejection, with what Cache-Control allows', async () => {
    const headers = { 'content-type': 'application/json', 'cache-control': 'max-age=3' };
    const { end, startedAt } = startCall({ replies: [response(200, { valid: false, reason: 'revoked' }, headers)] });
    expect(await end()).toEqual({
      result: { status: 'rejected', valid: false, source: 'server', reason: 'revoked' },
      freshness: { maxAgeMs: 3_000, noStore: false, noStale: false },
      askedAt: startedAt,
    });
  });

  test('compares our clock in the middle between question and answer with the server’s', async () => {
    const { answer, call, clock, startedAt, end } = startCall();
    await clock.advance(1_000);
    const headers = { 'content-type': 'application/json', date: new Date(startedAt.wall).toUTCString() };
    await answer(0, response(200, GOOD_BODY, headers));
    await end();
    // `Date` names the second that began then.
    const second = Math.floor(startedAt.wall / 1_000) * 1_000;
    expect(call.clockSkewMs).toBe(Math.round(startedAt.wall + 500 - (second + 500)));
  });

  test('counts as handed to a connection while its answer is waited for', async () => {
    const { answer, call, end } = startCall();
    expect(call.isSent).toBe(true);
    await answer(0, GOOD);
    await end();
    expect(call.isSent).toBe(false);
  });

  test('does not count as handed to a connection before it has a token, or while it waits in a pool', async () => {
    const unready = startCall({ source: async () => await new Promise<string>(() => undefined) });
    await unready.clock.advance(0);
    expect(unready.call).toMatchObject({ isSent: false, firstSentAt: undefined, attempts: 0 });
    const pooled = startCall({ source: async () => await Promise.resolve(TOKEN) });
    pooled.transport.isSent = false;
    await pooled.clock.advance(0);
    expect([pooled.requests.length, pooled.call.isSent]).toEqual([1, false]);
    pooled.transport.isSent = true;
    expect(pooled.call.isSent).toBe(true);
  });
});

describe('a retry', () => {
  test('follows a transient failure, and the age of its verdict counts from the retry', async () => {
    const { end, call, told, startedAt } = startCall({ replies: [response(503), GOOD], random: () => 0.5 });
    const second = { wall: startedAt.wall + 50, mono: startedAt.mono + 50 };
    expect(await end()).toMatchObject({ result: { valid: true, verifiedAt: second.wall }, askedAt: second });
    expect(call).toMatchObject({ attempts: 2, firstSentAt: startedAt.mono });
    expect(told).toEqual({ sent: [startedAt], suspects: 1 });
  });

  test.each([0, 1, 3])('is made up to %i times, and the last failure is the outcome', async (retries) => {
    const { end, call, told } = startCall({ retries, replies: [response(500), RESET, response(502), response(503)] });
    const messages = [
      'the key server answered 500',
      'reset',
      'the key server answered 502',
      'the key server answered 503',
    ];
    expect(await end()).toHaveProperty('message', expect.stringContaining(messages[retries] ?? '-'));
    expect([call.attempts, told.suspects]).toEqual([retries + 1, retries + 1]);
  });

  test.each([401, 404, 429, 307])('does not follow %i, which is no sign of an outage either', async (status) => {
    const { end, call, told } = startCall({ replies: [response(status), GOOD] });
    expect(await end()).toHaveProperty('kind');
    expect([call.attempts, told.suspects]).toEqual([1, 0]);
  });

  test('is made after a pause of any length, also one that the clock cannot tell from its end', async () => {
    for (let share = 0.001; share < 1; share += 0.0137) {
      // With less time left than the clock shows, a difference of two times left has smaller steps than the clock.
      const { clock, call } = startCall({ timeoutMs: 200, replies: [response(503), GOOD], random: () => share });
      await clock.advance(200);
      expect(call.attempts).toBe(2);
    }
  });

  test('is not made if mayRetry() returns false', async () => {
    const { end, call } = startCall({ context: { mayRetry: () => false }, replies: [response(503), GOOD] });
    expect(await end()).toMatchObject({ kind: 'server_error' });
    expect(call.attempts).toBe(1);
  });

  test('waits for Retry-After if there is time, and is not made otherwise', async () => {
    const shed = response(503, '', { 'retry-after': '1' });
    const fits = startCall({ replies: [shed, GOOD], timeoutMs: 1_010 });
    expect(await fits.end()).toHaveProperty('result');
    expect(fits.landed.afterMs).toBe(1_000);
    const late = startCall({ replies: [shed, GOOD], timeoutMs: 1_000 });
    expect(await late.end()).toMatchObject({ kind: 'server_error', retryAfterMs: 1_000 });
    expect([late.call.attempts, late.landed.afterMs]).toEqual([1, 0]);
  });

  test.each([
    [0, [500]],
    [1, [500, 1_500]],
  ])('is suspicious as soon as its wait is unusual: %i retries', async (retries, expected) => {
    const suspectedAt: number[] = [];
    const onSuspect = (): void => void suspectedAt.push(clock.monotonic() - startedAt.mono);
    const { end, clock, startedAt } = startCall({ retries, context: { suspectAfterMs: 500, onSuspect } });
    await end();
    expect(suspectedAt.filter((ms) => ms % 1_000 !== 0)).toEqual(expected);
  });

  test.each([
    [0, [0]],
    [1, [0, 1_000]],
    [3, [0, 500, 1_000, 1_500]],
  ])('is sent in equal shares of the deadline where the server hangs: %i retries', async (retries, expected) => {
    // What hung has waited long enough: its retry is not put off.
    const { end, clock, startedAt, transport, requests, told, landed } = startCall({ retries, random: () => 0.9 });
    const sentAt: number[] = [];
    transport.script = () => void sentAt.push(clock.monotonic() - startedAt.mono);
    expect(await end()).toEqual({ kind: 'timeout', message: 'keyverify: the key server gave no answer in time' });
    expect([retries === 0 ? [0] : [0, ...sentAt], landed.afterMs]).toEqual([expected, 2_000]);
    // A wait of half of the whole time is suspicious by itself.
    expect(told.suspects).toBe(retries === 0 ? 2 : retries + 1);
    expect(requests.map(({ abortedBy }) => abortedBy?.message)).toEqual(expected.map(() => 'no longer waited for'));
    expect(clock.pending).toBe(0);
  });
});

describe('an earlier attempt', () => {
  test('may still be answered beside its retry', async () => {
    const { answer, end, clock, requests, startedAt, call } = startCall();
    await clock.advance(1_200);
    await answer(0, GOOD);
    expect(await end()).toMatchObject({ askedAt: startedAt });
    expect(call.attempts).toBe(2);
    expect(requests[1]?.abortedBy).toBeInstanceOf(Error);
  });

  test('may still be answered after its retry has failed', async () => {
    const { answer, clock, landed } = startCall();
    await clock.advance(1_000);
    await answer(1, response(503));
    await clock.advance(500);
    expect(landed.afterMs).toBeUndefined();
    await answer(0, GOOD);
    expect(landed).toMatchObject({ value: { result: { valid: true } }, afterMs: 1_500 });
  });

  test('that fails, too, leaves the failure of the retry as the outcome', async () => {
    const { answer, clock, landed } = startCall();
    await clock.advance(1_000);
    await answer(1, response(503));
    await clock.advance(100);
    await answer(0, RESET);
    expect(landed).toMatchObject({ value: { kind: 'server_error' }, afterMs: 1_100 });
  });

  test('is not waited for where the retry got an answer that is no sign of an outage', async () => {
    const { answer, clock, landed } = startCall();
    await clock.advance(1_000);
    await answer(1, response(404));
    expect(landed).toMatchObject({ value: { kind: 'misconfigured' }, afterMs: 1_000 });
  });

  test('is waited for up to the deadline', async () => {
    const { answer, end, clock, landed } = startCall();
    await clock.advance(1_000);
    await answer(1, response(503));
    expect(await end()).toMatchObject({ kind: 'server_error' });
    expect(landed.afterMs).toBe(2_000);
  });

  test('may be answered while its retry is put off', async () => {
    const { answer, clock, landed, call } = startCall({ retries: 2, timeoutMs: 3_000 });
    await clock.advance(1_000);
    await answer(1, response(503, '', { 'retry-after': '1' }));
    await clock.advance(500);
    await answer(0, GOOD);
    expect(landed).toMatchObject({ value: { result: { valid: true } }, afterMs: 1_500 });
    expect(call.attempts).toBe(2);
  });

  test('that fails while its retry is put off does not bring it forward', async () => {
    const { answer, clock, call } = startCall({ retries: 2, timeoutMs: 3_000 });
    await clock.advance(1_000);
    await answer(1, response(503, '', { 'retry-after': '1' }));
    await clock.advance(500);
    await answer(0, RESET);
    await clock.advance(499);
    expect(call.attempts).toBe(2);
    await clock.advance(1);
    expect(call.attempts).toBe(3);
  });
});

test('a call that is given up while it waits for its retry ends as it has failed so far', async () => {
  const { end, call, clock, landed, requests } = startCall({ replies: [response(503, '', { 'retry-after': '1' })] });
  await clock.advance(100);
  expect([call.waitsToRetry, landed.afterMs]).toEqual([true, undefined]);
  call.giveUp();
  expect(await end()).toMatchObject({ kind: 'server_error', retryAfterMs: 1_000 });
  expect([landed.afterMs, requests.length, clock.pending]).toEqual([100, 1, 0]);
});

describe('a call that is given up', () => {
  test('ends at once, for a reason that opens nothing', async () => {
    const { call, clock, requests, landed, told } = startCall();
    await clock.advance(100);
    call.giveUp();
    await clock.advance(0);
    expect(landed).toEqual({
      value: {
        kind: 'overloaded',
        message: 'keyverify: given up: more questions are in flight than the key server can answer in time',
      },
      afterMs: 100,
    });
    expect([requests.length, requests[0]?.abortedBy instanceof Error, told.suspects]).toEqual([1, true, 0]);
    expect(clock.pending).toBe(0);
  });

  test('asks no more while a retry is put off and an earlier attempt is open', async () => {
    const { answer, call, clock, requests, landed } = startCall({ retries: 2, timeoutMs: 3_000 });
    await clock.advance(1_000);
    await answer(1, response(503, '', { 'retry-after': '1' }));
    await clock.advance(500);
    call.giveUp();
    await clock.advance(0);
    expect(landed).toMatchObject({ value: { kind: 'overloaded' }, afterMs: 1_500 });
    expect(requests).toHaveLength(2);
  });

  test('ends at once, too, where only an earlier attempt is waited for', async () => {
    const { answer, call, clock, landed } = startCall({ retries: 1 });
    await clock.advance(1_000);
    await answer(1, response(503));
    call.giveUp();
    await clock.advance(0);
    expect(landed).toMatchObject({ value: { kind: 'server_error' }, afterMs: 1_000 });
  });
});

describe('a process that is busy itself', () => {
  const BUSY = {
    kind: 'overloaded',
    message: 'keyverify: the event loop was blocked',
  };

  test('counts its timeout as its own load', async () => {
    const { clock, end, told } = startCall({ retries: 0 });
    clock.jumpMono(2_500);
    expect(await end()).toEqual(BUSY);
    expect(told.suspects).toBe(0);
  });

  test('retries as usual while there is time left', async () => {
    const { clock, call, told } = startCall();
    clock.jumpMono(1_500);
    await clock.advance(0);
    expect([call.attempts, told.suspects]).toEqual([2, 1]);
  });
});

describe('failed attempts before the answer', () => {
  const failedBefore = async (act: (call: ReturnType<typeof startCall>) => Promise<void>): Promise<number> => {
    const started = startCall({ retries: 1 });
    await started.clock.advance(0);
    await act(started);
    const outcome = await started.end();
    return started.call.failedBefore(outcome);
  };

  test('are none where the first one is answered', async () => {
    expect(await failedBefore(async ({ answer }) => await answer(0, GOOD))).toBe(0);
  });

  test('are those that failed as in an outage, or that the retry overtook', async () => {
    const failed = await failedBefore(async ({ answer, clock }) => {
      await answer(0, response(503));
      await clock.advance(10);
      await answer(1, GOOD);
    });
    const overtaken = await failedBefore(async ({ answer, clock }) => {
      await clock.advance(1_100);
      await answer(1, GOOD);
    });
    expect([failed, overtaken]).toEqual([1, 1]);
  });

  test('are none where the first one was only slow', async () => {
    const slow = await failedBefore(async ({ answer, clock }) => {
      await clock.advance(1_100);
      await answer(0, GOOD);
    });
    expect(slow).toBe(0);
  });

  test('are not those that failed for another reason', async () => {
    const repeated = await failedBefore(async ({ answer, clock }) => {
      await answer(0, response(425));
      await clock.advance(10);
      await answer(1, GOOD);
    });
    expect(repeated).toBe(0);
  });
});

test('a retry goes over a new connection: the old one may lead to the one backend that fails', async () => {
  const { end, requests } = startCall({
    retries: 2,
    replies: [response(503), RESET, GOOD],
    context: { sendOptions: { reserved: true } },
  });
  await end();
  expect(requests.map(({ options }) => options)).toEqual([{ reserved: true }, { fresh: true }, { fresh: true }]);
});

test('a call that has no token yet waits for no retry', async () => {
  const { call, clock } = startCall({ source: async () => await new Promise<string>(() => undefined) });
  expect(call.waitsToRetry).toBe(false);
  await clock.advance(1_000);
  expect([call.attempts, call.waitsToRetry]).toEqual([0, false]);
  const failed = startCall({ source: async () => await Promise.reject(new Error('no vault')) });
  expect(await failed.end()).toMatchObject({ kind: 'misconfigured' });
  expect([failed.call.attempts, failed.call.waitsToRetry]).toEqual([0, false]);
});
