import { expect, test } from 'vitest';

import { clockSkewMs } from '../../src/client/clock-skew.js';
import { response } from '../helpers/responses.js';

const DATE = 'Thu, 01 Jan 2026 00:00:10 GMT';
const AT = Date.UTC(2026, 0, 1, 0, 0, 10);
const skew = (headers: Record<string, string>, wall: number) => clockSkewMs(response(200, {}, headers), wall);

test('our clock is compared with the middle of the second that Date names', () => {
  expect(skew({ date: DATE }, AT + 500)).toBe(0);
  expect(skew({ date: DATE }, AT + 60_500.4)).toBe(60_000);
  expect(skew({ date: DATE }, AT - 9_500)).toBe(-10_000);
});

test.each<[string, Record<string, string>]>([
  ['without a Date', {}],
  ['with one that is none', { date: 'soon' }],
  ['from a cache, whose Date is old', { date: DATE, age: '0' }],
])('a response %s says nothing', (_, headers) => {
  expect(skew(headers, AT)).toBeUndefined();
});
