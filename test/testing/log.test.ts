import { expect, it } from 'vitest';

import { RequestLog } from '../../src/testing/log.js';

const arrival = (at: number): Parameters<RequestLog['add']>[0] => ({
  at,
  method: 'POST',
  path: '/',
  headers: {},
  tokenAccepted: true,
  scope: undefined,
});

it('keeps the latest 1 000 requests in their order', () => {
  const log = new RequestLog();
  for (let at = 0; at < 2_500; at++) log.add(arrival(at), undefined);
  expect(log.requests.map(({ at }) => at)).toEqual(Array.from({ length: 1_000 }, (_, index) => 1_500 + index));
});

it('counts the latest 100 000 keys', () => {
  const log = new RequestLog();
  for (let at = 0; at <= 100_000; at++) log.add(arrival(at), `sk-${at}`);
  expect(log.asked('sk-0')).toBe(0);
  expect(log.asked('sk-1')).toBe(1);
  expect(log.asked('sk-100000')).toBe(1);
});
