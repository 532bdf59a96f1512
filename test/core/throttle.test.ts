import { expect, test } from 'vitest';

import { Throttle } from '../../src/core/throttle.js';

test('of each kind one passes in a minute, and tells how many did not', () => {
  const throttle = new Throttle<string>();
  expect([0, 1, 59_999].map((mono) => throttle.pass('a', mono))).toEqual([0, undefined, undefined]);
  expect(throttle.pass('b', 59_999)).toBe(0);
  expect([60_000, 60_001].map((mono) => throttle.pass('a', mono))).toEqual([2, undefined]);
  expect([120_000, 180_000].map((mono) => throttle.pass('a', mono))).toEqual([1, 0]);
});

test('of one kind, three texts pass in a minute', () => {
  const throttle = new Throttle<string>();
  const texts = ['one', 'one', 'two', 'two', 'three', 'four', 'five', 'one'];
  const passed = texts.map((text) => throttle.pass('a', 0, text));
  expect(passed).toEqual([0, undefined, 0, undefined, 0, undefined, undefined, undefined]);
  expect(['four', 'one'].map((text) => throttle.pass('a', 60_000, text))).toEqual([5, 0]);
});
