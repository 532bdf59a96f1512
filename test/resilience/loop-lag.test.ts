import { expect, test, vi } from 'vitest';

import { LoopLag, isOwnLag } from '../../src/resilience/loop-lag.js';
import { testClock } from 'keyverify/testing';

test('a loop that is in time has no lag', async () => {
  const clock = testClock();
  const watch = new LoopLag(clock).watch();
  await clock.advance(1_000);
  expect(watch.ms).toBe(0);
});

test('the lag counts from the moment from which it is watched, also before a timer has run', async () => {
  const clock = testClock();
  const lag = new LoopLag(clock);
  const first = lag.watch();
  // A timer was due after 20 ms.
  clock.jumpMono(120);
  expect(first.ms).toBe(100);
  const second = lag.watch();
  await clock.advance(0);
  expect([first.ms, second.ms]).toEqual([100, 0]);
  clock.jumpMono(70);
  expect([first.ms, second.ms]).toEqual([150, 50]);
  await clock.advance(500);
  expect([first.ms, second.ms]).toEqual([150, 50]);
});

test('it is measured in the background, which keeps no process alive', () => {
  const clock = testClock();
  const after = vi.spyOn(clock, 'after');
  new LoopLag(clock).watch();
  expect(after).toHaveBeenCalledExactlyOnceWith(20, expect.any(Function), true);
});

test('one timer measures it for all, and runs out once nobody watches any more', async () => {
  const clock = testClock();
  const lag = new LoopLag(clock);
  const [first, second] = [lag.watch(), lag.watch()];
  first.stop();
  clock.jumpMono(120);
  second.stop();
  expect([second.ms, clock.pending]).toEqual([100, 1]);
  await clock.advance(0);
  expect(clock.pending).toBe(0);
  clock.jumpMono(500);
  expect(second.ms).toBe(100);
  const third = lag.watch();
  expect([third.ms, clock.pending]).toEqual([0, 1]);
  clock.jumpMono(30);
  expect(third.ms).toBe(10);
  await clock.advance(0);
  expect(clock.pending).toBe(1);
});

test('what was late before does not count for one who watches by the same timer', async () => {
  const clock = testClock();
  const lag = new LoopLag(clock);
  lag.watch().stop();
  clock.jumpMono(120);
  const watch = lag.watch();
  clock.jumpMono(30);
  expect([watch.ms, clock.pending]).toEqual([30, 1]);
  await clock.advance(0);
  expect(watch.ms).toBe(30);
});

test('a wait is our own doing when the loop was late for more than half of it', () => {
  expect([isOwnLag(50, 100), isOwnLag(51, 100)]).toEqual([false, true]);
});
