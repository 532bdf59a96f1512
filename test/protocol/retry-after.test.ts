import { describe, expect, test } from 'vitest';

import { LONGEST_RETRY_AFTER_MS, retryAfterMs } from '../../src/protocol/retry-after.js';

describe('Retry-After', () => {
  const now = Date.parse('2026-11-06T08:49:37Z');

  test.each([
    ['0', 0],
    ['7', 7_000],
    ['12', 12_000],
    ['Fri, 06 Nov 2026 08:49:40 GMT', 3_000],
    ['Friday, 06-Nov-26 08:49:40 GMT', 3_000],
  ])('may be seconds or a date, in either form: %s', (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms);
  });

  test('of a date in the past is 0', () => {
    expect(retryAfterMs('Fri, 06 Nov 2026 08:49:30 GMT', now)).toBe(0);
  });

  test.each([
    ['29', 29_000],
    ['31', 30_000],
    ['9'.repeat(400), 30_000],
    ['Fri, 06 Nov 2026 10:00:00 GMT', 30_000],
  ])('is believed up to 30 seconds: %s', (header, ms) => {
    expect(LONGEST_RETRY_AFTER_MS).toBe(30_000);
    expect(retryAfterMs(header, now)).toBe(ms);
  });

  test.each([
    undefined,
    '',
    'soon',
    '1.5',
    '-5',
    '1e3',
    '5s',
    ' 5',
    '2026-11-06',
    'x Fri, 06 Nov 2026 08:49:40 GMT',
    'Fri, GMT',
    'Fri, 06 Nov 2026 08:49:40 GMT x',
    'Fri, 06 Nov 2026 08:49:40 GMT+0100',
    'Foo, bar GMT',
  ])('is ignored where it is neither: %j', (header) => {
    expect(retryAfterMs(header, now)).toBeUndefined();
  });
});
