import { expect, test } from 'vitest';

import { Pacer } from '../../src/resilience/pacer.js';

const EVEN = (): number => 0.5;

test('a pacer allows the first at once, then so many a second, evenly spread', () => {
  const pacer = new Pacer(4, EVEN);
  const taken = Array.from({ length: 2_000 }, (_, mono) => mono).filter((mono) => pacer.tryTake(mono));
  expect(taken).toEqual([0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
});

test('a pacer gives those who yield only what others leave for twice as long again', () => {
  const alone = new Pacer(4, EVEN);
  const times = Array.from({ length: 2_000 }, (_, mono) => mono);
  expect(times.filter((mono) => alone.tryTake(mono, true))).toEqual([0, 750, 1_500]);
  const shared = new Pacer(4, EVEN);
  // The others ask each 500 ms, those who yield all the time.
  const left = times.filter((mono) => !(mono % 500 === 0 && shared.tryTake(mono)) && shared.tryTake(mono, true));
  expect(left).toEqual([]);
});

test('a pacer saves nothing up while nobody asks', () => {
  const pacer = new Pacer(10, EVEN);
  expect(pacer.tryTake(-50)).toBe(true);
  expect([60_000, 60_000, 60_099.9, 60_100].map((mono) => pacer.tryTake(mono))).toEqual([true, false, false, true]);
});

test('a pacer lets more through after each success, and 70 % of it after a failure, but never less than at first', () => {
  const pacer = new Pacer(4, EVEN);
  const inASecond = (from: number): number =>
    Array.from({ length: 1_000 }, (_, ms) => from + ms).filter((mono) => pacer.tryTake(mono)).length;
  for (let success = 0; success < 4; success++) pacer.speedUp();
  expect(inASecond(0)).toBe(20);
  pacer.slowDown();
  expect(inASecond(1_000)).toBe(14);
  for (let failure = 0; failure < 8; failure++) pacer.slowDown();
  expect(inASecond(2_000)).toBe(4);
  pacer.speedUp();
  expect(inASecond(3_000)).toBe(8);
});

test('a pacer varies its intervals by half, so that nobody takes all by coming at its pace', () => {
  const draws = [0, 0.999, 0.25];
  const pacer = new Pacer(10, () => draws.shift() ?? 0.5);
  const taken = Array.from({ length: 400 }, (_, mono) => mono).filter((mono) => pacer.tryTake(mono));
  expect(taken).toEqual([0, 50, 200, 275, 375]);
});
