import { describe, expect, test } from 'vitest';

import { Bulkhead, type Lane } from '../../src/resilience/bulkhead.js';
import { testClock } from 'keyverify/testing';

const LANES = ['high', 'low'] as const;
const noMore = (): number => 0;

function setUp(maxConcurrency: number) {
  const clock = testClock();
  const bulkhead = new Bulkhead(maxConcurrency, clock);
  const admitted: string[] = [];
  return {
    clock,
    bulkhead,
    admitted,
    /** Takes slots until there are no more, and returns how many. */
    fill: (lane: Lane): number => {
      let taken = 0;
      while (taken < 1_000 && bulkhead.tryAcquire(lane)) taken++;
      return taken;
    },
    /** Waits for a slot, under a name. */
    wait: async (lane: Lane, name: string, ms = 1_000): Promise<boolean> => {
      const acquired = await bulkhead.acquire(lane, ms, noMore);
      admitted.push(acquired ? name : `not ${name}`);
      return acquired;
    },
  };
}

describe('the slots', () => {
  test.each(LANES)('are as many as maxConcurrency says, in the lane %s', (lane) => {
    const { bulkhead, fill } = setUp(2);
    expect(fill(lane)).toBe(2);
    expect(bulkhead.active).toBe(2);
    bulkhead.release(lane);
    expect(bulkhead.active).toBe(1);
    expect(bulkhead.tryAcquire(lane)).toBe(true);
  });

  test('are shared by both lanes', () => {
    const { bulkhead, fill } = setUp(50);
    bulkhead.start();
    expect([fill('low'), fill('high'), fill('low')]).toEqual([48, 2, 0]);
    expect(bulkhead.active).toBe(50);
    bulkhead.release('high');
    expect(bulkhead.tryAcquire('low')).toBe(false);
    expect(bulkhead.tryAcquire('high')).toBe(true);
    bulkhead.release('low');
    expect(bulkhead.tryAcquire('high')).toBe(true);
    expect(bulkhead.tryAcquire('low')).toBe(false);
  });

  test.each([
    [64, 56],
    [8, 7],
    [4, 4],
    [1, 1],
  ])('are left to the low lane for an eighth: of %i the high one has %i', (maxConcurrency, most) => {
    const { bulkhead, fill } = setUp(maxConcurrency);
    expect([fill('high'), fill('low')]).toEqual([most, maxConcurrency - most]);
    // What the low lane gives back is of use to the high one only below its limit.
    expect([bulkhead.gainsFromLow('high'), bulkhead.gainsFromLow('low')]).toEqual([false, true]);
    bulkhead.release('high');
    expect(bulkhead.gainsFromLow('high')).toBe(true);
    expect(bulkhead.tryAcquire('high')).toBe(true);
  });

  test('have no bound where maxConcurrency is infinite', () => {
    const { fill } = setUp(Infinity);
    expect(fill('high')).toBe(1_000);
  });
});

describe('a request that waits', () => {
  test('in the high lane gets a slot in order of arrival, and keeps it', async () => {
    const { clock, bulkhead, fill, admitted, wait } = setUp(1);
    fill('high');
    const waits = [wait('high', 'first'), wait('high', 'second'), wait('high', 'third')];
    expect(bulkhead.queued).toBe(3);
    bulkhead.release('high');
    expect(bulkhead).toMatchObject({ active: 1, queued: 2 });
    expect(bulkhead.tryAcquire('high')).toBe(false);
    bulkhead.release('high');
    bulkhead.release('high');
    await Promise.all(waits);
    expect(admitted).toEqual(['first', 'second', 'third']);
    expect(bulkhead).toMatchObject({ active: 1, queued: 0 });
    expect(clock.pending).toBe(0);
    bulkhead.release('high');
    expect(bulkhead.active).toBe(0);
  });

  test('in the low lane goes before those that came earlier', async () => {
    const { bulkhead, fill, admitted, wait } = setUp(1);
    fill('high');
    const waits = [wait('low', 'first'), wait('low', 'second'), wait('low', 'third')];
    bulkhead.release('high');
    bulkhead.release('low');
    const latest = wait('low', 'latest');
    bulkhead.release('low');
    bulkhead.release('low');
    await Promise.all([...waits, latest]);
    expect(admitted).toEqual(['third', 'second', 'latest', 'first']);
    expect(bulkhead).toMatchObject({ active: 1, queued: 0 });
  });

  test('in the high lane goes before all of the low one', async () => {
    const { bulkhead, fill, admitted, wait } = setUp(1);
    fill('low');
    const waits = [wait('low', 'low'), wait('high', 'high 1'), wait('high', 'high 2')];
    expect(bulkhead.queued).toBe(3);
    bulkhead.release('low');
    bulkhead.release('high');
    bulkhead.release('high');
    await Promise.all(waits);
    expect(admitted).toEqual(['high 1', 'high 2', 'low']);
  });

  test('in the low lane lets the slots of the high one pass by', async () => {
    const { bulkhead, fill, admitted, wait } = setUp(50);
    fill('low');
    const waits = [wait('low', 'low')];
    fill('high');
    bulkhead.release('high');
    await Promise.resolve();
    expect(admitted).toEqual([]);
    bulkhead.release('low');
    await Promise.all(waits);
    expect(admitted).toEqual(['low']);
  });

  test('in the high lane needs only a slot, however full the low one is', async () => {
    const { bulkhead, fill, wait } = setUp(50);
    fill('low');
    fill('high');
    const waiting = wait('high', 'high');
    bulkhead.release('high');
    expect(await waiting).toBe(true);
  });

  test('gives up when its time is over', async () => {
    const { clock, bulkhead, fill, admitted, wait } = setUp(1);
    fill('low');
    const waits = [wait('low', 'brief', 100), wait('low', 'middle', 150), wait('low', 'long', 200)];
    await clock.advance(99);
    expect(admitted).toEqual([]);
    await clock.advance(1);
    expect(admitted).toEqual(['not brief']);
    await clock.advance(50);
    expect(admitted).toEqual(['not brief', 'not middle']);
    expect(bulkhead.queued).toBe(1);
    bulkhead.release('low');
    await Promise.all(waits);
    expect(admitted).toEqual(['not brief', 'not middle', 'long']);
    expect(bulkhead).toMatchObject({ active: 1, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  test.each([
    ['first', 'high', ['middle', 'last']],
    ['middle', 'high', ['first', 'last']],
    ['last', 'high', ['first', 'middle']],
    ['first', 'low', ['last', 'middle']],
    ['middle', 'low', ['last', 'first']],
    ['last', 'low', ['middle', 'first']],
  ] as const)('may give up anywhere in its lane: the %s of the %s one', async (brief, lane, others) => {
    const { clock, bulkhead, fill, admitted, wait } = setUp(1);
    fill('high');
    const waits = ['first', 'middle', 'last'].map((name) => wait(lane, name, name === brief ? 100 : 1_000));
    await clock.advance(100);
    expect(bulkhead.queued).toBe(2);
    bulkhead.release('high');
    bulkhead.release(lane);
    await Promise.all(waits);
    expect(admitted).toEqual([`not ${brief}`, ...others]);
    // The lane is as good as new.
    const next = wait(lane, 'next');
    bulkhead.release(lane);
    expect(await next).toBe(true);
  });

  test('may get more time once, and keeps its place', async () => {
    const { clock, bulkhead, fill, admitted, wait } = setUp(1);
    fill('high');
    let asked = 0;
    const longer = (ms: number) => () => (asked++, ms);
    const waits = [
      bulkhead.acquire('high', 100, longer(50)),
      bulkhead.acquire('high', 100, longer(0)),
      wait('high', 'next', 1_000),
      bulkhead.acquire('high', 100, longer(40)),
    ];
    await clock.advance(100);
    expect([asked, bulkhead.queued]).toEqual([3, 3]);
    await clock.advance(40);
    expect([asked, bulkhead.queued]).toEqual([3, 2]);
    bulkhead.release('high');
    expect(await waits[0]).toBe(true);
    expect(admitted).toEqual([]);
    bulkhead.release('high');
    expect(await Promise.all(waits)).toEqual([true, false, true, false]);
    expect(clock.pending).toBe(0);
  });

  test.each(LANES)('is refused at once where 64 wait for each slot already, in the lane %s', async (lane) => {
    const { clock, bulkhead, fill } = setUp(2);
    fill('high');
    const waits = Array.from({ length: 2 * 64 }, () => bulkhead.acquire(lane, 1_000, noMore));
    expect(bulkhead.queued).toBe(2 * 64);
    expect(await bulkhead.acquire(lane, 1_000, noMore)).toBe(false);
    const other = bulkhead.acquire(lane === 'high' ? 'low' : 'high', 1_000, noMore);
    expect(bulkhead.queued).toBe(2 * 64 + 1);
    await clock.advance(1_000);
    expect(new Set(await Promise.all([...waits, other]))).toEqual(new Set([false]));
    expect(bulkhead).toMatchObject({ active: 2, queued: 0 });
  });
});

describe('the limit of the low lane', () => {
  type Step = 'grow' | 'shed' | number;
  const limit = (maxConcurrency: number, ...steps: readonly Step[]): number => {
    const { bulkhead, fill } = setUp(maxConcurrency);
    bulkhead.start();
    for (const step of steps)
      if (typeof step === 'number') bulkhead.reduceTo(step, 1, 'low');
      else if (step === 'grow') bulkhead.grow('low');
      else bulkhead.shed();
    return fill('low');
  };
  const times = <T>(count: number, step: T): T[] => Array<T>(count).fill(step);

  test.each([
    [64, 8, 48],
    [48, 8, 48],
    [3, 3, 3],
    [Infinity, 1_000, 1_000],
  ])('of %d slots is %d until anybody was answered, and then %d', (maxConcurrency, cold, slots) => {
    expect([setUp(maxConcurrency).fill('low'), limit(maxConcurrency)]).toEqual([cold, slots]);
  });

  test('is never lowered by the first answer', () => {
    const { bulkhead, fill } = setUp(64);
    for (let count = 0; count < 50; count++) bulkhead.grow('low');
    bulkhead.start();
    expect(fill('low')).toBe(58);
  });

  test('lets those in that wait for the first answer', async () => {
    const { bulkhead, fill, wait } = setUp(64);
    fill('low');
    const waiting = wait('low', 'early');
    bulkhead.start();
    expect(await waiting).toBe(true);
  });

  test('grows by one with each answer that says so, up to maxConcurrency', () => {
    expect(limit(64, 'grow')).toBe(49);
    expect(limit(64, ...times(100, 'grow' as const))).toBe(64);
    expect(limit(64, ...times(100, 'grow' as const), 'shed')).toBe(32);
  });

  test('is reduced to what a congested server bears, and at least by half', () => {
    expect([60, 24, 8.9, 0].map((capacity) => limit(64, capacity))).toEqual([24, 24, 8, 1]);
    expect(limit(64, 60, 60)).toBe(12);
    expect(limit(64, 0, 'grow')).toBe(2);
    expect(limit(3, 3)).toBe(1);
    expect(limit(Infinity, 5)).toBe(1_000);
  });

  test.each([
    [8, 0, 8],
    [8.9, 30, 24],
    [60, 0, 48],
    [0.5, 0, 1],
  ])('is not reduced below %d', (least, capacity, expected) => {
    const { bulkhead, fill } = setUp(64);
    bulkhead.start();
    bulkhead.reduceTo(capacity, least, 'low');
    expect(fill('low')).toBe(expected);
  });

  test('is halved where the server sheds load, down to a quarter of all slots', () => {
    expect([1, 2, 3, 4].map((answers) => limit(64, ...times(answers, 'shed' as const)))).toEqual([24, 16, 16, 16]);
    expect(limit(8, ...times(4, 'shed' as const))).toBe(2);
    expect(limit(64, 'grow', 'shed')).toBe(24);
    expect(limit(3, ...times(4, 'shed' as const))).toBe(1);
    // Never more than before.
    expect(limit(64, 7, 'shed')).toBe(7);
  });

  test('that grows admits the newest of those that wait', async () => {
    const { bulkhead, fill, wait, admitted } = setUp(64);
    bulkhead.start();
    fill('low');
    const waits = ['first', 'second'].map((name) => wait('low', name));
    bulkhead.grow('low');
    await waits[1];
    expect(admitted).toEqual(['second']);
    expect(bulkhead).toMatchObject({ active: 49, queued: 1 });
  });

  test('that shrank admits nobody until enough slots were given back', async () => {
    const { bulkhead, fill, wait, admitted } = setUp(8);
    fill('low');
    expect(bulkhead.isFull('low')).toBe(true);
    bulkhead.shed();
    const waiting = wait('low', 'patient');
    for (let slot = 0; slot < 4; slot++) bulkhead.release('low');
    await Promise.resolve();
    expect(admitted).toEqual([]);
    bulkhead.release('low');
    expect(await waiting).toBe(true);
    expect(bulkhead.active).toBe(4);
    bulkhead.release('low');
    expect(bulkhead.isFull('low')).toBe(false);
  });

  test('that shrank lets those that run go on', () => {
    const { bulkhead, fill } = setUp(20);
    bulkhead.start();
    fill('low');
    bulkhead.reduceTo(10, 1, 'low');
    expect(bulkhead.active).toBe(20);
    for (let slot = 0; slot < 10; slot++) bulkhead.release('low');
    expect(bulkhead.tryAcquire('low')).toBe(false);
    bulkhead.release('low');
    expect(bulkhead.tryAcquire('low')).toBe(true);
  });
});

describe('the limit of the high lane', () => {
  test('falls and rises like that of the other, but leaves an eighth of all slots to it', () => {
    const { bulkhead, fill } = setUp(64);
    bulkhead.reduceTo(28, 1, 'high');
    expect(fill('high')).toBe(28);
    bulkhead.grow('high');
    expect(fill('high')).toBe(1);
    for (let answer = 0; answer < 100; answer++) bulkhead.grow('high');
    expect(fill('high')).toBe(56 - 29);
    expect(fill('low')).toBe(8);
  });

  test('does not fall where the server sheds load: made-up keys may be why', () => {
    const { bulkhead, fill } = setUp(64);
    bulkhead.shed();
    expect(fill('high')).toBe(56);
  });
});
