import { describe, expect, test } from 'vitest';

import { Deadline, TIMED_OUT } from '../../src/resilience/deadline.js';
import { FakeClock } from '../helpers/clock.js';

const never = new Promise<never>(() => undefined);

describe('a deadline', () => {
  test('says how much time is left, on the clock that only goes forward', async () => {
    const clock = new FakeClock();
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

  test('sleeps for as long as it is told to', async () => {
    const clock = new FakeClock();
    let awake = false;
    const slept = new Deadline(clock, 100).sleep(40).then(() => (awake = true));
    await clock.advance(39);
    expect(awake).toBe(false);
    await clock.advance(1);
    await slept;
    expect(awake).toBe(true);
  });
});

describe('a race against time', () => {
  const race = async <T>(clock: FakeClock, work: Promise<T>, ms: number) => await new Deadline(clock, ms).race(work);

  test('is won by work that is done in time, and leaves no timer', async () => {
    const clock = new FakeClock();
    expect(await race(clock, Promise.resolve('done'), 50)).toBe('done');
    expect(clock.pending).toBe(0);
  });

  test('is lost by work that fails, with its own error, and leaves no timer', async () => {
    const clock = new FakeClock();
    const error = new Error('broken');
    await expect(race(clock, Promise.reject(error), 50)).rejects.toBe(error);
    expect(clock.pending).toBe(0);
  });

  test('is over when the time is, also where work never ends', async () => {
    const clock = new FakeClock();
    let outcome: unknown = 'none yet';
    const over = race(clock, never, 50).then((value) => (outcome = value));
    await clock.advance(49);
    expect(outcome).toBe('none yet');
    await clock.advance(1);
    await over;
    expect(outcome).toBe(TIMED_OUT);
    expect(clock.pending).toBe(0);
  });

  test('is still won by an answer that came in while this process was busy', async () => {
    const clock = new FakeClock();
    let answer: (text: string) => void = () => undefined;
    const work = new Promise<string>((resolve) => (answer = resolve));
    // The timer is due first, the answer is read in the same turn of the event loop.
    const raced = race(clock, work, 50);
    clock.after(50, () => answer('just in time'));
    const order: string[] = [];
    clock.after(50, () => order.push('after the answer'));
    await clock.advance(50);
    expect(await raced).toBe('just in time');
    expect(order).toEqual(['after the answer']);
    expect(clock.pending).toBe(0);
  });

  test('does not mind how work ends that has lost it', async () => {
    const clock = new FakeClock();
    let fail: (error: Error) => void = () => undefined;
    const raced = race(clock, new Promise<string>((_, reject) => (fail = reject)), 50);
    await clock.advance(50);
    expect(await raced).toBe(TIMED_OUT);
    fail(new Error('too late'));
    await clock.advance(0);
  });
});
