import { expect, test } from 'vitest';

import { SlowStart } from '../../src/resilience/slow-start.js';

const TTL_MS = 300_000;

/** When each share of the rest is no longer held back, counted from the end of an outage of this length. */
function after(outageMs: number, ttlMs = TTL_MS): readonly (number | undefined)[] {
  const slowStart = new SlowStart<string>(ttlMs);
  slowStart.record('first', 1_000);
  slowStart.record('half-open', 1_000 + outageMs - 1);
  expect(slowStart.heldBackBy(1, 1_000 + outageMs)).toBe(undefined);
  slowStart.record(undefined, 1_000 + outageMs);
  return [0, 0.25, 1].map((share) => {
    let ms = 0;
    while (slowStart.heldBackBy(share, 1_000 + outageMs + ms) === 'first') ms++;
    return ms;
  });
}

test('after a long outage, it takes a second until all is asked for, at a rate that grows', () => {
  expect(after(12_001)).toEqual([0, 500, 1_000]);
});

test('after a short one, nothing is held back', () => {
  expect(after(12_000)).toEqual([0, 0, 0]);
});

test('where verdicts are due soon anyway, it takes less', () => {
  expect(after(60_000, 6_000)).toEqual([0, 50, 100]);
});

test('nothing is held back without an outage, during one, or for an earlier one', () => {
  const slowStart = new SlowStart<string>(TTL_MS);
  slowStart.record(undefined, 0);
  expect(slowStart.heldBackBy(1, 0)).toBe(undefined);
  slowStart.record('out', 0);
  slowStart.record(undefined, 20_000);
  slowStart.record('out again', 20_100);
  slowStart.record(undefined, 20_200);
  expect(slowStart.heldBackBy(1, 20_200)).toBe(undefined);
});
