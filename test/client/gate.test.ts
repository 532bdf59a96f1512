import { describe, expect, test } from 'vitest';

import { Gate, type Asking, type GateOptions } from '../../src/client/gate.js';
import { VerifyFailure, type FailureDetails, type FailureKind } from '../../src/core/failure.js';
import { Breaker } from '../../src/resilience/breaker.js';
import type { Lane } from '../../src/resilience/bulkhead.js';
import { testClock } from 'keyverify/testing';

const LANES = ['high', 'low'] as const;
const CIRCUIT_OPEN = 'keyverify: not asked: the key server is down';
const RATE_LIMITED = 'keyverify: not asked: the key server limits our rate';

function setUp({ breaker = true, ...options }: Partial<GateOptions> & { readonly breaker?: boolean } = {}) {
  const clock = testClock();
  const own = breaker
    ? new Breaker<VerifyFailure>(
        { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
        () => 0,
        () => undefined,
      )
    : undefined;
  const asked: string[] = [];
  const refresh = (fingerprint: string, key: string): number => asked.push(`${key} ${fingerprint}`);
  const even = { clock, timeoutMs: 2_000, maxConcurrency: 8, random: () => 0.5 };
  const gate = new Gate({ ...even, sharesPromises: true, refresh, ...options }, own);
  /** Asks about a key during a pause; `call`: how. */
  const isNext = (key: string, call: Partial<Asking> = {}, isAwaited = true): boolean =>
    gate.isNext(
      { fingerprint: `of ${key}`, key, isKnown: true, backoff: undefined, ...call },
      clock.monotonic(),
      isAwaited,
    );
  /** Whether a question is let through that no caller waits for. One about a known key is put off, unless `sharesPromises` is `false`. */
  const passes = (lane: Lane): boolean => isNext(lane, { isKnown: lane === 'high' }, false);
  const record = (kind: FailureKind, details?: FailureDetails, ...rest: readonly [number?, Lane?, number?]): void =>
    gate.recordFailure(new VerifyFailure(kind, kind, details), clock.monotonic(), ...rest);
  const onTheirWay = (lane: Lane) => ({
    get size() {
      return taken[lane];
    },
    sentSince: (mono: number) => (mono > sentAt[lane] ? 0 : taken[lane]),
  });
  const taken = { high: 0, low: 0 };
  /** When all that are taken were sent. Default: just now. */
  const sentAt = { high: Infinity, low: Infinity };
  const calls = { high: onTheirWay('high'), low: onTheirWay('low') };
  const answer = (latencyMs: number, lane?: Lane): void =>
    gate.recordAnswer(clock.monotonic(), clock.monotonic() - latencyMs, latencyMs, lane, calls);
  /** How many slots of the lane for unknown keys can be taken now. */
  const room = (): number => {
    let taken = 0;
    while (taken < 1_000 && gate.bulkhead.tryAcquire('low')) taken++;
    for (let left = taken; left > 0; left--) gate.bulkhead.release('low');
    return taken;
  };
  const fill = (lane: Lane): void => {
    while (gate.bulkhead.tryAcquire(lane));
  };
  return {
    clock,
    gate,
    breaker: own,
    asked,
    isNext,
    passes,
    state: () => own?.state,
    record,
    answer,
    taken,
    sentAt,
    room,
    fill,
    blocked: () => gate.blockedBy(clock.monotonic()),
  };
}

describe('a gate', () => {
  test.each([true, false])('refuses nothing at first, with a breaker: %s', (breaker) => {
    expect(setUp({ breaker }).blocked()).toBeUndefined();
  });
});

describe('a rate limit', () => {
  test.each([
    ['a second without a Retry-After', undefined, 1_000],
    ['a second where Retry-After says 0', 0, 1_000],
    ['as long as Retry-After says', 3_000, 3_000],
  ])('pauses for %s, and no longer', async (_, retryAfterMs, pauseMs) => {
    const { clock, record, blocked } = setUp({ breaker: false });
    record('rate_limited', { retryAfterMs });
    await clock.advance(pauseMs - 1);
    const failure = { kind: 'rate_limited', message: RATE_LIMITED, retryAfterMs: 1, evidence: 'none' };
    expect(blocked()).toMatchObject(failure);
    await clock.advance(1);
    expect(blocked()).toBeUndefined();
  });

  test('is never made shorter by another one', async () => {
    const { clock, record, blocked } = setUp();
    record('rate_limited', { retryAfterMs: 3_000 });
    record('rate_limited', { retryAfterMs: 2_000 });
    await clock.advance(2_500);
    expect(blocked()).toMatchObject({ retryAfterMs: 500 });
  });

  test("ignores the Retry-After in an answer about a caller's key", () => {
    const { record, blocked } = setUp();
    record('server_error', { evidence: 'proven', retryAfterMs: 3_000 }, 503, 'low');
    expect(blocked()).toMatchObject({ retryAfterMs: 1_000 });
  });

  test('gives all refused callers the same failure', async () => {
    const { clock, record, blocked } = setUp();
    record('rate_limited', { retryAfterMs: 3_000 });
    const first = blocked();
    await clock.advance(1_000);
    expect(blocked()).toBe(first);
    record('rate_limited', { retryAfterMs: 3_000 });
    expect(blocked()).toMatchObject({ retryAfterMs: 3_000 });
  });

  test.each(['server_error', 'timeout', 'overloaded', 'misconfigured'] as const)(
    'is the only failure without evidence that pauses: not %s',
    (kind) => {
      const { record, blocked, state } = setUp();
      record(kind, { retryAfterMs: 3_000 });
      expect([blocked(), state()]).toEqual([undefined, 'closed']);
    },
  );
});

describe('an outage', () => {
  test.each(['proven', 'unproven'] as const)('opens the circuit: %s', async (evidence) => {
    const { clock, record, blocked, state } = setUp();
    const cause = new Error('reset');
    record('unreachable', { evidence, cause });
    await clock.advance(400);
    expect(state()).toBe('open');
    const failure = { kind: 'circuit_open', message: CIRCUIT_OPEN, retryAfterMs: 600, attempts: 0, evidence, cause };
    expect(blocked()).toMatchObject(failure);
    expect(blocked()?.isOutage).toBe(evidence === 'proven');
  });

  test('opens the circuit for as long as Retry-After asks, where that is longer', () => {
    const { record, blocked } = setUp();
    record('server_error', { evidence: 'proven', retryAfterMs: 3_000 });
    expect(blocked()).toMatchObject({ retryAfterMs: 3_000 });
    expect(blocked()?.cause).toBeUndefined();
  });

  test('gives all refused callers the same failure, until the next probe', async () => {
    const { clock, breaker, record, blocked } = setUp();
    record('timeout', { evidence: 'proven' });
    const first = blocked();
    await clock.advance(999);
    expect(blocked()).toBe(first);
    breaker?.beginProbe(clock.monotonic());
    expect(blocked()).toMatchObject({ kind: 'circuit_open', retryAfterMs: 1_000 });
  });

  test('ends with any answer', () => {
    const { record, answer, blocked, state } = setUp();
    record('timeout', { evidence: 'proven' });
    answer(10);
    expect([state(), blocked()]).toEqual(['closed', undefined]);
  });

  test('refuses although a probe is due where a timer probes', async () => {
    const { clock, record, blocked, state } = setUp();
    record('timeout', { evidence: 'proven' });
    await clock.advance(1_000);
    expect([blocked()?.kind, state()]).toEqual(['circuit_open', 'open']);
  });

  test('makes one caller the probe where no timer does', async () => {
    const { clock, record, blocked, state } = setUp({ sharesPromises: false });
    record('timeout', { evidence: 'proven' });
    await clock.advance(999);
    expect(blocked()).toBeDefined();
    await clock.advance(1);
    expect([blocked(), state()]).toEqual([undefined, 'half-open']);
    expect(blocked()).toMatchObject({ retryAfterMs: 1_000 });
  });

  test('is noticed during a pause, too, which goes on after it', async () => {
    const { clock, record, answer, blocked } = setUp();
    record('rate_limited', { retryAfterMs: 30_000 });
    expect(blocked()).toMatchObject({ kind: 'rate_limited', evidence: 'none' });
    record('timeout', { evidence: 'proven' });
    expect(blocked()).toMatchObject({ kind: 'circuit_open', isOutage: true });
    await clock.advance(10_000);
    answer(10);
    expect(blocked()).toMatchObject({ kind: 'rate_limited', retryAfterMs: 20_000 });
  });

  test('changes nothing where there is no breaker', () => {
    const { record, answer, blocked, room } = setUp({ breaker: false });
    record('timeout', { evidence: 'proven' });
    answer(10);
    expect([blocked(), room()]).toEqual([undefined, 8]);
  });
});

describe('the trickle', () => {
  test('lets ten questions a second through about known keys and five about unknown ones, evenly', async () => {
    const { clock, passes } = setUp({ sharesPromises: false });
    const passed = { high: 0, low: 0 };
    for (let ms = 0; ms < 1_000; ms += 10) {
      for (const lane of LANES) if (passes(lane)) passed[lane]++;
      await clock.advance(10);
    }
    expect(passed).toEqual({ high: 10, low: 5 });
  });

  /** How many questions of each lane pass within a second of a pause. */
  async function inASecond({ clock, passes }: ReturnType<typeof setUp>): Promise<Record<Lane, number>> {
    const passed = { high: 0, low: 0 };
    for (let ms = 0; ms < 1_000; ms += 10) {
      await clock.advance(10);
      for (const lane of LANES) if (passes(lane)) passed[lane]++;
    }
    return passed;
  }
  const LIMITED = { retryAfterMs: 60_000 };

  test.each([
    ['high', { high: 50, low: 5 }],
    ['low', { high: 10, low: 25 }],
  ] as const)('grows while its questions are answered in spite of a 429: %s', async (lane, expected) => {
    const given = setUp({ sharesPromises: false });
    given.record('rate_limited', LIMITED);
    for (let answer = 0; answer < 4; answer++) given.answer(10, lane);
    expect(await inASecond(given)).toEqual(expected);
  });

  test('does not grow by answers outside of a pause, nor by those to control questions', async () => {
    const given = setUp({ sharesPromises: false });
    for (const lane of LANES) given.answer(10, lane);
    given.record('rate_limited', LIMITED);
    given.answer(10);
    expect(await inASecond(given)).toEqual({ high: 10, low: 5 });
  });

  // 35 and 17.5 a second, in steps of 10 ms.
  test.each([
    ['high', { high: 34, low: 25 }],
    ['low', { high: 50, low: 17 }],
  ] as const)('shrinks by 30 % with each 429 in its lane: %s', async (lane, expected) => {
    const given = setUp({ sharesPromises: false });
    given.record('rate_limited', LIMITED);
    for (const lane of LANES) for (let answer = 0; answer < 4; answer++) given.answer(10, lane);
    given.record('rate_limited', LIMITED, 429, lane);
    given.record('rate_limited', LIMITED);
    expect(await inASecond(given)).toEqual(expected);
  });

  test('does not grow for unknown keys by answers from the end of a pause on, when an outage follows', async () => {
    const given = setUp({ sharesPromises: false });
    given.record('rate_limited');
    await given.clock.advance(1_000);
    for (let answer = 0; answer < 4; answer++) given.answer(10, 'low');
    given.record('timeout', { evidence: 'proven' });
    expect((await inASecond(given)).low).toBe(5);
  });

  const DOWN = { evidence: 'proven', durationMs: 100 } as const;

  test.each([
    ['grows with each question about an unknown key that fails at once', 249.9, 25],
    ['does not grow by one that fails later', 250, 5],
  ])('in an outage, %s: after %d ms', async (_, durationMs, low) => {
    const given = setUp({ sharesPromises: false });
    given.record('server_error', DOWN);
    for (let failed = 0; failed < 4; failed++) given.record('server_error', { ...DOWN, durationMs }, 500, 'low');
    expect((await inASecond(given)).low).toBe(low);
  });

  test('shrinks in an outage with each question about an unknown key that fails late, down to what it was', async () => {
    const given = setUp({ sharesPromises: false });
    given.record('server_error', DOWN);
    for (let failed = 0; failed < 5; failed++) given.record('server_error', DOWN, 500, 'low');
    given.record('timeout', { ...DOWN, durationMs: 2_000 }, undefined, 'low');
    // 21 a second, in steps of 10 ms.
    expect((await inASecond(given)).low).toBe(20);
    for (let failed = 0; failed < 9; failed++)
      given.record('timeout', { ...DOWN, durationMs: 2_000 }, undefined, 'low');
    expect((await inASecond(given)).low).toBe(5);
  });

  test('does not grow in an outage in which the server asks for a pause', async () => {
    const given = setUp({ sharesPromises: false });
    given.record('server_error', DOWN);
    for (let failed = 0; failed < 4; failed++)
      given.record('server_error', { ...DOWN, retryAfterMs: 20_000 }, 503, 'low');
    expect((await inASecond(given)).low).toBe(5);
  });

  test('does not grow by failures of known keys, of control questions, or outside of an outage', async () => {
    const given = setUp({ sharesPromises: false });
    given.record('server_error', { durationMs: 100 }, 500, 'low');
    given.record('server_error', DOWN);
    given.record('server_error', DOWN, 500, 'high');
    given.record('server_error', DOWN, 500);
    expect((await inASecond(given)).low).toBe(5);
  });

  test('lets known keys through without a breaker, too', () => {
    const { passes } = setUp({ breaker: false, sharesPromises: false });
    expect([1, 2].map(() => passes('high'))).toEqual([true, false]);
  });

  test('starts over with the next pause', async () => {
    const given = setUp({ sharesPromises: false });
    given.record('rate_limited');
    for (let answer = 0; answer < 20; answer++) for (const lane of LANES) given.answer(10, lane);
    await given.clock.advance(1_000);
    given.record('rate_limited', LIMITED, 429, 'high');
    expect(await inASecond(given)).toEqual({ high: 10, low: 5 });
  });
});

describe('known keys whose callers wait for an answer, during a pause', () => {
  type IsNext = ReturnType<typeof setUp>['isNext'];
  /** How many of these are let through at once. */
  const letThrough = (isNext: IsNext, call: Partial<Asking> = {}, isAwaited = true) =>
    Array.from({ length: 150 }, (_, i) => isNext(`k${i}`, call, isAwaited)).filter(Boolean).length;
  const answered = (times: number, lane: Lane = 'high') => {
    const given = setUp();
    for (let i = 0; i < times; i++) given.answer(10, lane);
    given.record('rate_limited', { retryAfterMs: 60_000 }, 429, 'low');
    return given;
  };

  // And one that is asked as part of the trickle.
  test.each([
    [0, 1],
    [1, 3],
    [20, 41],
    [50, 101],
    [400, 101],
  ])('after %d answers about known keys, %d are asked about at once', (times, most) => {
    expect(letThrough(answered(times).isNext)).toBe(most);
  });

  test('are asked about as long as they are answered', () => {
    const { isNext, answer } = answered(1);
    for (let i = 0; i < 1_000; i++) {
      expect(isNext('k')).toBe(true);
      answer(10, 'high');
    }
  });

  test.each([
    ['half as many with each 429 about a known key', 'high' as const, 26],
    ['no fewer by a 429 about a new key', 'low' as const, 101],
  ])('%s', (_, lane, most) => {
    const { isNext, record } = answered(50);
    record('rate_limited', { retryAfterMs: 60_000 }, 429, lane);
    record('rate_limited', { retryAfterMs: 60_000 }, 429, lane);
    expect(letThrough(isNext)).toBe(most);
  });

  test('are no more than before in an outage', () => {
    const given = answered(50);
    given.record('timeout', { evidence: 'proven' });
    expect(letThrough(given.isNext)).toBe(1);
  });

  test('nor are new keys, those that failed alone, and those about which nobody waits for an answer', () => {
    const backoff = { until: 0, since: 0, failure: undefined, alone: 1 };
    expect(letThrough(answered(50).isNext, { isKnown: false })).toBe(1);
    expect(letThrough(answered(50).isNext, { backoff })).toBe(1);
    expect(letThrough(answered(50).isNext, {}, false)).toBe(0);
  });

  test('count answers about known keys alone', () => {
    expect(letThrough(answered(50, 'low').isNext)).toBe(1);
  });
});

describe('known keys during a pause', () => {
  const paused = (options: Partial<GateOptions> = {}) => {
    const given = setUp(options);
    given.record('rate_limited', { retryAfterMs: 60_000 });
    return given;
  };
  const backoff = (until: number, alone: number) => ({ until, since: 0, failure: undefined, alone });

  test('are asked about in order, a moment after they were presented', async () => {
    const { isNext, asked, clock } = paused();
    for (const key of ['a', 'b', 'a', 'c']) expect(isNext(key, {}, false)).toBe(false);
    await clock.advance(49);
    // The second drove the first.
    expect(asked).toEqual(['a of a']);
    await clock.advance(400);
    expect(asked).toEqual(['a of a', 'b of b', 'a of a', 'c of c']);
    expect(clock.pending).toBe(0);
  });

  test('are asked about at once for a caller who waits, if no other key does', async () => {
    const { isNext, asked, clock } = paused();
    expect(isNext('a')).toBe(true);
    expect(isNext('b')).toBe(false);
    await clock.advance(100);
    expect(asked).toEqual(['b of b']);
    expect([isNext('c', {}, false), isNext('d')]).toEqual([false, false]);
  });

  test('are asked about as often as they are presented, where that is often, and answered', async () => {
    const { isNext, asked, answer, clock } = paused();
    for (let answered = 0; answered < 99; answered++) answer(10, 'high');
    for (let ms = 0; ms < 1_000; ms++) {
      isNext(`k${ms}`, {}, false);
      await clock.advance(1);
    }
    expect(asked.length).toBeGreaterThan(400);
  });

  test('leave new ones a third of their rate while they wait, but all of it in an outage', async () => {
    const { isNext, record, passes, clock } = paused();
    const inASecond = async (): Promise<number> => {
      let passed = 0;
      for (let ms = 0; ms < 1_000; ms += 10) {
        for (let key = 0; key < 9; key++) isNext(`a${key}`, {}, false);
        if (passes('low')) passed++;
        await clock.advance(10);
      }
      return passed;
    };
    expect(await inASecond()).toBe(2);
    record('timeout', { evidence: 'proven' });
    expect(await inASecond()).toBe(5);
  });

  test('are forgotten when the pause is over', async () => {
    const { isNext, asked, clock } = paused();
    await clock.advance(59_990);
    isNext('a', {}, false);
    await clock.advance(1_000);
    expect([asked, clock.pending, isNext('new', { isKnown: false })]).toEqual([[], 0, true]);
  });

  test('wait no longer than they fail, and not while they are left alone', async () => {
    const { isNext, asked, clock } = paused();
    const until = clock.monotonic() + 100;
    expect(isNext('a', { backoff: backoff(until, 0) })).toBe(false);
    await clock.advance(99);
    expect([asked, isNext('a', { backoff: backoff(until, 0) })]).toEqual([[], false]);
    await clock.advance(1);
    expect(isNext('a', { backoff: backoff(until, 0) })).toBe(true);
  });

  test.each([
    ['that failed four times alone', { backoff: backoff(0, 4) }],
    ['that failed alone, whose caller wants no cached verdict', { backoff: backoff(0, 1), maxAgeMs: 0 }],
  ])('take what others have left for twice as long again, and never wait: one %s', async (_, call) => {
    const { isNext, asked, clock } = paused();
    expect(isNext('first')).toBe(true);
    await clock.advance(299);
    expect(isNext('a', call)).toBe(false);
    await clock.advance(1);
    expect(isNext('a', call)).toBe(true);
    expect(isNext('b', call)).toBe(false);
    await clock.advance(1_000);
    expect(asked).toEqual([]);
  });

  test.each([
    ['that failed three times alone', { backoff: backoff(0, 3) }],
    ['whose caller wants no cached verdict', { maxAgeMs: 0 }],
  ])('take what is next all the same: one %s', async (_, call) => {
    const { isNext, clock } = paused();
    isNext('first');
    await clock.advance(100);
    expect(isNext('a', call)).toBe(true);
  });

  test('never wait where nothing is shared between requests', async () => {
    const { isNext, asked, clock } = paused({ sharesPromises: false });
    expect([isNext('a', {}, false), isNext('b', {}, false)]).toEqual([true, false]);
    await clock.advance(1_000);
    expect([asked, clock.pending]).toEqual([[], 0]);
  });
});

describe('the queue', () => {
  test('lets a question through that was allowed when it entered, though a pause goes on', async () => {
    const { gate, fill, clock, record } = setUp({ maxConcurrency: 1 });
    fill('high');
    record('rate_limited', { retryAfterMs: 60_000 });
    const entered = gate.enter('high', clock.monotonic());
    gate.bulkhead.release('high');
    expect(await entered).toBeUndefined();
  });

  test.each(LANES)('gives the next slot to one that waits: %s', async (lane) => {
    const { gate, fill, clock } = setUp({ maxConcurrency: 1 });
    fill('high');
    const entered = gate.enter(lane, clock.monotonic());
    expect(gate.bulkhead.queued).toBe(1);
    gate.bulkhead.release('high');
    expect(await entered).toBeUndefined();
    expect([gate.bulkhead.active, clock.pending]).toEqual([1, 0]);
  });

  test('is left after half of timeoutMs: the rest is for the answer', async () => {
    const { clock, gate, fill } = setUp({ maxConcurrency: 1 });
    fill('high');
    const entered = gate.enter('low', clock.monotonic());
    await clock.advance(999);
    expect(gate.bulkhead.queued).toBe(1);
    await clock.advance(1);
    expect(await entered).toMatchObject({
      kind: 'overloaded',
      message: 'keyverify: too many questions wait for the key server, see maxConcurrency',
      durationMs: 1_000,
    });
    expect(gate.bulkhead).toMatchObject({ active: 1, queued: 0 });
  });

  test.each([
    ['an eighth of timeoutMs is left', 10, 1_750],
    ['there is time for two more answers', 300, 1_400],
    ['half of timeoutMs is over, where they are slow', 600, 1_000],
  ])('is left later where others are answered: when %s', async (_, latencyMs, untilMs) => {
    const { clock, gate, fill, answer } = setUp({ maxConcurrency: 1 });
    fill('high');
    const entered = gate.enter('low', clock.monotonic());
    for (let count = 0; count < 100; count++) answer(latencyMs);
    await clock.advance(untilMs - 1);
    expect(gate.bulkhead.queued).toBe(1);
    await clock.advance(1);
    expect(await entered).toMatchObject({ kind: 'overloaded', durationMs: untilMs });
    expect(clock.pending).toBe(0);
  });

  test('is left after half of timeoutMs where the latest answer came before', async () => {
    const { clock, gate, fill, answer } = setUp({ maxConcurrency: 1 });
    fill('high');
    answer(10);
    await clock.advance(1);
    const entered = gate.enter('low', clock.monotonic());
    await clock.advance(1_000);
    expect(await entered).toMatchObject({ durationMs: 1_000 });
  });

  test.each([
    ['half of timeoutMs is over, where nobody is answered', 600, false, 400],
    ['there is time for two more answers', 600, true, 1_150],
    ['an eighth of timeoutMs is left', 1_700, true, 50],
    ['at once, where no time is left', 1_800, true, 0],
  ])('counts from when the question began: %s', async (_, sinceMs, isAnswering, leftMs) => {
    const { clock, gate, fill, answer } = setUp({ maxConcurrency: 1 });
    fill('high');
    const entered = gate.enter('low', clock.monotonic() - sinceMs);
    if (isAnswering) answer(10);
    if (leftMs > 0) await clock.advance(leftMs - 1);
    expect(gate.bulkhead.queued).toBe(1);
    await clock.advance(leftMs > 0 ? 1 : 0);
    expect(await entered).toMatchObject({ kind: 'overloaded', durationMs: leftMs });
  });

  test('that is full refuses at once', async () => {
    const { clock, gate, fill } = setUp({ maxConcurrency: 1 });
    fill('high');
    for (let count = 0; count < 64; count++) void gate.enter('low', clock.monotonic());
    expect(await gate.enter('low', clock.monotonic())).toMatchObject({ kind: 'overloaded', durationMs: 0 });
    await clock.advance(1_000);
  });

  test.each(LANES)('gives a slot back if a pause has begun meanwhile: %s', async (lane) => {
    const { gate, fill, record, clock } = setUp({ maxConcurrency: 1 });
    fill('high');
    const entered = gate.enter(lane, clock.monotonic());
    record('rate_limited');
    gate.bulkhead.release('high');
    expect(await entered).toMatchObject({ kind: 'rate_limited' });
    expect(gate.bulkhead.active).toBe(0);
    // It is of its own lane: the other one has as many as before.
    expect(gate.bulkhead.tryAcquire('low')).toBe(true);
  });
});

describe('the limit on unknown keys', () => {
  /** The limit after answers that have taken so long, while so many others are in flight. */
  const after = (others: number, lane: Lane | undefined, ...latencies: readonly number[]): number => {
    const { answer, taken, room } = setUp({ maxConcurrency: 100 });
    taken.low = others;
    for (const latency of latencies) answer(latency, lane);
    return room();
  };

  test.each<[string, number, Lane | undefined, readonly number[], number]>([
    ['starts low', 0, 'low', [], 8],
    ['grows with each answer', 0, 'low', [10, 100, 2_000], 51],
    ['grows up to maxConcurrency', 0, 'low', Array.from({ length: 100 }, () => 10), 100],
    ['grows once with control questions, from what it is without an answer', 0, undefined, [10, 10], 48],
    ['grows once with known keys', 0, 'high', [10, 10], 48],
    ['grows with quick answers, however many are in flight', 40, 'low', [500], 49],
    ['stays with slow answers, where too many are in flight', 40, 'low', [500.1], 48],
  ])('%s', (_, others, lane, latencies, expected) => {
    expect(after(others, lane, ...latencies)).toBe(expected);
  });

  test('starts once: what the server shed is not taken back with the next answer', () => {
    const { answer, record, room } = setUp({ maxConcurrency: 100 });
    answer(10, 'low');
    record('server_error', {}, 503);
    answer(10, 'low');
    expect(room()).toBe(26);
  });

  test.each<[string, number, Lane | undefined, Lane, number]>([
    ['is taken back by an answer that overtook a question about a new key', 251, undefined, 'low', 48],
    ['stays shed where both were sent at about the same time', 250, undefined, 'low', 25],
    ['stays shed where a known key was overtaken', 251, undefined, 'high', 25],
    ['stays shed where it was no control question', 251, 'low', 'low', 26],
  ])('what the server shed %s', async (_, ms, lane, other, expected) => {
    const { answer, clock, record, room, sentAt, taken } = setUp({ maxConcurrency: 100 });
    answer(10, 'low');
    record('server_error', {}, 503);
    taken[other] = 1;
    sentAt[other] = clock.monotonic();
    await clock.advance(ms);
    answer(0, lane);
    expect(room()).toBe(expected);
  });

  /** One of forty-one questions was answered after a second. */
  const congested = async (lane: Lane) => {
    const rig = setUp({ maxConcurrency: 100 });
    rig.taken[lane] = 40;
    await rig.clock.advance(1_000);
    rig.answer(1_000, lane);
    return rig;
  };

  test.each(LANES)('is reduced where the server is congested, once for all that were sent before: %s', async (lane) => {
    const { gate, clock, record } = await congested(lane);
    const limit = (): number => {
      let taken = 0;
      while (gate.bulkhead.tryAcquire(lane)) taken++;
      for (let left = taken; left > 0; left--) gate.bulkhead.release(lane);
      return taken;
    };
    const before = limit();
    expect(gate.isCongested(clock.monotonic())).toBe(true);
    record('overloaded', {}, undefined, lane);
    record('overloaded', {}, undefined, lane === 'low' ? 'high' : 'low', clock.monotonic());
    expect(limit()).toBe(before);
    // An eighth is enough to find out more.
    await clock.advance(1);
    record('overloaded', {}, undefined, lane, clock.monotonic());
    expect(limit()).toBe(12);
    await clock.advance(1_000);
    record('overloaded', {}, undefined, lane, clock.monotonic() - 1_000.1);
    expect(limit()).toBe(12);
    // Nobody was answered since.
    record('overloaded', {}, undefined, lane, clock.monotonic());
    expect(limit()).toBe(1);
  });

  test('is reduced no more once a control question was answered', async () => {
    const { gate, clock, answer } = await congested('low');
    answer(1_000);
    expect(gate.isCongested(clock.monotonic())).toBe(false);
  });

  test.each([
    ['is halved, down to a quarter of all slots', 'server_error', 503, 'none', 25],
    ['is halved, down to a quarter of all slots', 'rate_limited', 429, 'none', 25],
    ['stays', 'server_error', 500, 'none', 48],
    ['stays', 'timeout', undefined, 'none', 48],
    ['stays', 'unreachable', undefined, 'none', 48],
    ['stays', 'server_error', 503, 'proven', 48],
    ['stays', 'server_error', 503, 'unproven', 48],
  ] as const)('%s by a failure: %s, %s, %s', (_, kind, status, evidence, expected) => {
    const { record, room, answer } = setUp({ maxConcurrency: 100 });
    answer(10);
    record(kind, { evidence }, status);
    expect(room()).toBe(expected);
  });
});
