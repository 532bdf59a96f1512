import { describe, expect, test } from 'vitest';

import { AmbiguousRejections } from '../../src/client/ambiguity.js';

const MINUTE = 60_000;

describe('ambiguous rejections', () => {
  test('of keys that were never good are believed, however many there are', () => {
    const rejections = new AmbiguousRejections();
    for (let mono = 0; mono < 100; mono++) expect(rejections.isBelieved(false, mono)).toBe(true);
  });

  test('of good keys are believed twice, and doubted from then on', () => {
    const rejections = new AmbiguousRejections();
    const believed = [0, 1, 2, 3].map((mono) => rejections.isBelieved(true, mono));
    expect(believed).toEqual([true, true, false, false]);
    expect(rejections.isBelieved(false, 4)).toBe(false);
    // Until there is a certain verdict, nothing has changed.
    expect(rejections.isBelieved(true, 99 * MINUTE)).toBe(false);
  });

  test('are believed again after a certain verdict', () => {
    const rejections = new AmbiguousRejections();
    for (const mono of [0, 1, 2]) rejections.isBelieved(true, mono);
    rejections.recordCertain();
    expect([3, 4, 5].map((mono) => rejections.isBelieved(true, mono))).toEqual([true, true, false]);
  });

  test('that are far apart count as revocations', () => {
    const rejections = new AmbiguousRejections();
    for (let at = 0; at < 60; at += 3) expect(rejections.isBelieved(true, at * MINUTE)).toBe(true);
    const others = new AmbiguousRejections();
    expect([0, 2, 5].map((at) => others.isBelieved(true, at * MINUTE))).toEqual([true, true, false]);
    const apart = new AmbiguousRejections();
    expect([0, 2, 5.01].map((at) => apart.isBelieved(true, at * MINUTE))).toEqual([true, true, true]);
  });
});

test('ambiguous rejections of good keys are doubted however long this process has run', () => {
  const rejections = new AmbiguousRejections();
  expect([60, 61, 62].map((at) => rejections.isBelieved(true, at * MINUTE))).toEqual([true, true, false]);
});
