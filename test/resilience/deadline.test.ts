import { describe, expect, test } from 'vitest';

import { testClock, type TestClock } from 'keyverify/testing';

import { Deadline, TIMED_OUT } from '../../src/resilience/deadline.js';

const never = new Promise<never>(() => undefined);

/** The outcome of a promise as far as it is known. */
function watch(promise: Promise<unknown>): { outcome: unknown } {
  const watched: { outcome: unknown } = { outcome: 'none yet' };
  void promise.then((value) => (watched.outcome = value));
  return watched;
}

/** The outcome of a promise that needs no more than passes of the event loop. */
async function settled<T>(clock: TestClock, promise: Promise<T>): Promise<T> {
  // Time enough for timers that are set after the clock has jumped.
  await clock.advance(100);
  return await promise;
}

describe('the time left', () => {
  test('is counted on the monotonic clock, down to 0', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 100);
    expect(deadline.leftMs).toBe(100);
    await clock.advance(30);
    clock.jumpWall(-10_000);
    expect(deadline.leftMs).toBe(70);
    await clock.advance(70);
    expect(deadline.leftMs).toBe(0);
    await clock.advance(1);
    expect(deadline.leftMs).toBe(0);
  });

  test('may be counted from an earlier moment', () => {
    const clock = testClock();
    expect(new Deadline(clock, 100, clock.monotonic() - 40).leftMs).toBe(60);
  });
});

describe('a race', () => {
  const race = async <T>(clock: TestClock, work: Promise<T>, ms: number) => await new Deadline(clock, ms).race(work);

  test('resolves as the work does, and leaves no timer', async () => {
    const clock = testClock();
    expect(await race(clock, Promise.resolve('done'), 50)).toBe('done');
    expect(clock.pending).toBe(0);
  });

  test('rejects as the work does, and leaves no timer', async () => {
    const clock = testClock();
    const error = new Error('broken');
    await expect(race(clock, Promise.reject(error), 50)).rejects.toBe(error);
    expect(clock.pending).toBe(0);
  });

  test('times out when the time is up, also where the work never ends', async () => {
    const clock = testClock();
    const raced = watch(race(clock, never, 50));
    await clock.advance(49);
    expect(raced.outcome).toBe('none yet');
    await clock.advance(1);
    expect(raced.outcome).toBe(TIMED_OUT);
    expect(clock.pending).toBe(0);
  });

  test('may have less time than is left, and then leaves the rest', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 50);
    const raced = watch(deadline.race(never, 20));
    await clock.advance(20);
    expect(raced.outcome).toBe(TIMED_OUT);
    expect(deadline.leftMs).toBe(30);
  });

  test('still takes an answer that came in while this process was busy', async () => {
    const clock = testClock();
    let answer: (text: string) => void = () => undefined;
    const work = new Promise<string>((resolve) => (answer = resolve));
    // The timer is due first; the answer is read in the same pass of the event loop.
    const raced = race(clock, work, 50);
    clock.after(50, () => answer('just in time'));
    await clock.advance(50);
    expect(await raced).toBe('just in time');
    expect(clock.pending).toBe(0);
  });

  test('ignores how the work ends after it has timed out', async () => {
    const clock = testClock();
    let fail: (error: Error) => void = () => undefined;
    const raced = race(clock, new Promise<string>((_, reject) => (fail = reject)), 50);
    await clock.advance(50);
    expect(await raced).toBe(TIMED_OUT);
    fail(new Error('too late'));
    await clock.advance(0);
  });
});

describe('interrupt', () => {
  test('ends a race at once, and leaves no timer, but the time that is left', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 50);
    const raced = watch(deadline.race(never));
    await clock.advance(10);
    deadline.interrupt();
    expect(deadline.leftMs).toBe(40);
    await clock.advance(0);
    expect(raced.outcome).toBe(TIMED_OUT);
    expect(clock.pending).toBe(0);
    expect(await settled(clock, deadline.isOwnLoad())).toBe(false);
  });

  test('also ends one that waits for its last pass of the event loop', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 50);
    const raced = watch(deadline.race(never));
    clock.after(50, () => deadline.interrupt());
    await clock.advance(50);
    expect(raced.outcome).toBe(TIMED_OUT);
    expect(clock.pending).toBe(0);
  });

  test('does not end a later race', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 50);
    deadline.interrupt();
    const raced = watch(deadline.race(never));
    await clock.advance(0);
    expect(raced.outcome).not.toBe(TIMED_OUT);
  });
});

describe('our own load', () => {
  /** Whether it counts as our own load when this process is blocked for `lateMs` while the timer is due. */
  const firesLate = async (ms: number, lateMs: number, raceMs = ms): Promise<boolean> => {
    const clock = testClock();
    const deadline = new Deadline(clock, ms);
    const raced = deadline.race(never, raceMs);
    clock.jumpMono(raceMs + lateMs);
    await clock.advance(0);
    expect(await raced).toBe(TIMED_OUT);
    return await settled(clock, deadline.isOwnLoad());
  };

  /** Whether it counts as our own load when this pass of the event loop takes `ms` after the time was up. */
  const takesLong = async (pass: number, ms: number): Promise<boolean> => {
    const clock = testClock();
    const deadline = new Deadline(clock, 100);
    const loaded = deadline.isOwnLoad();
    const block = (left: number): void => {
      clock.after(0, () => (left === 1 ? clock.jumpMono(ms) : block(left - 1)));
    };
    block(pass);
    return await settled(clock, loaded);
  };

  test('is none where nothing was late', async () => {
    const clock = testClock();
    expect(await settled(clock, new Deadline(clock, 100).isOwnLoad())).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('shows by a timer that fires more than 50 ms and a fifth of the time late', async () => {
    expect([await firesLate(100, 0), await firesLate(100, 50), await firesLate(100, 50.1)]).toEqual([
      false,
      false,
      true,
    ]);
    expect([await firesLate(2_000, 400), await firesLate(2_000, 400.1)]).toEqual([false, true]);
    // The time of the deadline, not of the race.
    expect([await firesLate(2_000, 400, 500), await firesLate(2_000, 400.1, 500)]).toEqual([false, true]);
  });

  test('of an earlier race still counts, and needs no more passes', async () => {
    const clock = testClock();
    const deadline = new Deadline(clock, 100);
    const first = deadline.race(never, 10);
    clock.jumpMono(61);
    await clock.advance(0);
    await first;
    expect(await deadline.race(Promise.resolve('done'))).toBe('done');
    expect(await deadline.isOwnLoad()).toBe(true);
  });

  test.each([1, 2, 3])('shows by pass %d of the event loop that takes long now', async (pass) => {
    expect([await takesLong(pass, 50), await takesLong(pass, 50.1)]).toEqual([false, true]);
  });

  test('does not show after four passes', async () => {
    expect(await takesLong(4, 60)).toBe(false);
  });
});
