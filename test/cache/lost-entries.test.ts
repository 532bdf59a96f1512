import { expect, test } from 'vitest';

import { Entry } from '../../src/cache/entry.js';
import { LostEntries } from '../../src/cache/lost-entries.js';
import { ASKED_AT, verified } from '../helpers/verdicts.js';

const lostEntries = (random = 0): LostEntries<unknown> =>
  new LostEntries({ cacheTtlMs: 1_000, refreshAheadRatio: 0.8, random: () => random });

const entry = (): Entry<unknown> =>
  new Entry<unknown>(verified(), ASKED_AT, { ttlMs: 1_000, refreshAtAge: 800, noStale: false });

test('a verdict that has just become due is refreshed', () => {
  const found = entry();
  expect(lostEntries().putOff('f', found, 729)).toBe(false);
  expect(found.refreshAtAge).toBe(800);
});

test.each([
  [0, 975],
  [0.5, 988],
])('a later one waits until the last quarter of what is left, once, at random (%d)', (random, atAge) => {
  const lost = lostEntries(random);
  const found = entry();
  expect(lost.putOff('f', found, 731)).toBe(true);
  expect(found.refreshAtAge).toBeGreaterThan(930);
  expect(lost.putOff('f', found, 940)).toBe(false);
  const other = entry();
  expect(lost.putOff('g', other, 900)).toBe(true);
  expect(other.refreshAtAge).toBe(atAge);
});

test('each of several is put off once', () => {
  const lost = lostEntries();
  expect(['f', 'g', 'f', 'g'].map((name) => lost.putOff(name, entry(), 900))).toEqual([true, true, false, false]);
});

test('does not remember more than so many', () => {
  const lost = lostEntries();
  for (let i = 0; i < 16_385; i++) expect(lost.putOff(`f${i}`, entry(), 900)).toBe(true);
  expect(lost.putOff('f16384', entry(), 900)).toBe(false);
  expect(lost.putOff('f0', entry(), 900)).toBe(true);
});
