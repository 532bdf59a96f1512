import { expect, test } from 'vitest';

import { Gaps } from '../../src/cache/gaps.js';

const WINDOW_MS = 30_000;

/** Gaps at positions 1, 2, ..., each a second after the one before. */
function gapsOf(count: number): Gaps {
  const gaps = new Gaps();
  for (let position = 1; position <= count; position++)
    gaps.add({ position, mono: position * 1_000, wall: 0, windowMs: WINDOW_MS });
  return gaps;
}

test('a verdict is suspect since the first gap after it was asked for', () => {
  const gaps = gapsOf(3);
  expect([0, 1, 2, 3].map((asked) => gaps.firstSince(asked)?.mono)).toEqual([1_000, 2_000, 3_000, undefined]);
});

test('so is one of another process, by the time', () => {
  const gaps = gapsOf(3);
  const since = (mono: number) => gaps.firstSince({ mono, positions: {} })?.mono;
  expect([since(1_000), since(1_001), since(3_000), since(3_001)]).toEqual([1_000, 2_000, 3_000, undefined]);
});

test('of more than 16, the two oldest become one: verdicts between them are suspect since the first', () => {
  expect(gapsOf(16).firstSince(1)?.mono).toBe(2_000);
  const gaps = gapsOf(17);
  expect([0, 1, 2, 16, 17].map((asked) => gaps.firstSince(asked)?.mono)).toEqual([
    1_000,
    1_000,
    3_000,
    17_000,
    undefined,
  ]);
  expect(gapsOf(18).firstSince(2)?.mono).toBe(1_000);
});
