import { describe, expect, test } from 'vitest';

import { freshnessOf } from '../../src/protocol/freshness.js';

const UNLIMITED = { maxAgeMs: Infinity, noStore: false, noStale: false };

describe('Cache-Control', () => {
  test.each([
    [undefined, Infinity],
    ['', Infinity],
    ['public', Infinity],
    ['s-maxage=5', Infinity],
    ['max-age=10', 10_000],
    ['private, max-age=10', 10_000],
    ['MAX-AGE=10', 10_000],
    ['max-age="10"', 10_000],
    ['max-age = 10', 10_000],
    ['max-age=0', 0],
    ['max-age=20, max-age=10,  max-age=30', 10_000],
    ['max-age=99999999', 99_999_999_000],
    [`max-age=${'9'.repeat(400)}`, 2 ** 31 * 1_000],
  ])('%j limits the age of a verdict to %d ms', (cacheControl, maxAgeMs) => {
    expect(freshnessOf(cacheControl, undefined)).toEqual({ ...UNLIMITED, maxAgeMs });
  });

  test.each([
    'max-age',
    'max-age=',
    'max-age=-1',
    'max-age=1.5',
    'max-age=10s',
    'max-age=10x, max-age=20',
    'max-age=x max-age=20',
    'max-age=""',
    'max-age==10',
  ])('counts a max-age that cannot be read as 0: %j', (cacheControl) => {
    expect(freshnessOf(cacheControl, undefined)).toEqual({ ...UNLIMITED, maxAgeMs: 0 });
  });

  test.each([
    ['no-store', { ...UNLIMITED, noStore: true, noStale: true }],
    ['max-age=10, No-Store', { maxAgeMs: 10_000, noStore: true, noStale: true }],
    ['no-cache, no-store', { maxAgeMs: 0, noStore: true, noStale: true }],
    ['no-cache', { maxAgeMs: 0, noStore: false, noStale: true }],
    ['no-cache="set-cookie", max-age=10', { maxAgeMs: 0, noStore: false, noStale: true }],
    ['max-age=10,no-cache', { maxAgeMs: 0, noStore: false, noStale: true }],
    ['Must-Revalidate', { ...UNLIMITED, noStale: true }],
    ['max-age=10 , must-revalidate ', { maxAgeMs: 10_000, noStore: false, noStale: true }],
    ['no-storex, xno-cache, proxy-revalidate', UNLIMITED],
  ])('%j forbids keeping a verdict, or serving it stale', (cacheControl, freshness) => {
    expect(freshnessOf(cacheControl, undefined)).toEqual(freshness);
  });
});

describe('Age', () => {
  test.each([
    ['0', 60_000],
    ['5', 55_000],
    [' 5 ', 55_000],
    ['5, 7', 55_000],
    ['60', 0],
    ['61', 0],
    ['9'.repeat(400), 0],
    // RFC 9111 5.1 ignores what is no number of seconds.
    ['-5', 60_000],
    ['1.5', 60_000],
    ['5 7', 60_000],
    ['5s', 60_000],
    ['x5', 60_000],
    ['soon', 60_000],
    ['', 60_000],
  ])('%j leaves max-age=60 %d ms', (age, maxAgeMs) => {
    expect(freshnessOf('max-age=60', age)).toEqual({ ...UNLIMITED, maxAgeMs });
  });

  test('and max-age may both be too long to count', () => {
    expect(freshnessOf(`max-age=${'9'.repeat(400)}`, '9'.repeat(400)).maxAgeMs).toBe(0);
  });

  test('takes nothing from a limit that the server does not set', () => {
    expect(freshnessOf('public', '5')).toEqual(UNLIMITED);
    expect(freshnessOf(undefined, '5')).toEqual(UNLIMITED);
  });
});
