import { expect, test } from 'vitest';

import { Checks } from '../../src/client/checks.js';

test('a check that begins after a control question was sent waits for the next one', async () => {
  const checks = new Checks();
  const results = [10, 20, 30].map(async (mono) => await checks.wait(mono));
  const settle = (sentAt: number): boolean =>
    checks.settle({ sentAt, durationMs: sentAt, failure: undefined }, undefined);
  expect([settle(5), settle(20), settle(30)]).toEqual([true, true, false]);
  expect((await Promise.all(results)).map(({ latencyMs }) => latencyMs)).toEqual([20, 20, 30]);
});
