import { expect, test } from 'vitest';

import { Checks } from '../../src/client/checks.js';
import { testClock } from '../../src/testing/clock.js';

test('a check that begins after a control question was sent waits for the next one', async () => {
  const checks = new Checks();
  const clock = testClock();
  const startedAt = clock.monotonic();
  const results = [];
  for (let check = 0; check < 3; check++) {
    await clock.advance(10);
    results.push(checks.wait({ clock, timeoutMs: 2000 }));
  }
  const settle = (ms: number): boolean =>
    checks.settle({ sentAt: startedAt + ms, durationMs: ms, failure: undefined }, undefined);
  expect([settle(5), settle(20), settle(30)]).toEqual([true, true, false]);
  expect((await Promise.all(results)).map(({ latencyMs }) => latencyMs)).toEqual([20, 20, 30]);
});

test('a check says after four times timeoutMs and a second that no control question was answered', async () => {
  const clock = testClock();
  const result = new Checks().wait({ clock, timeoutMs: 2000 });
  await clock.advance(8999);
  expect(await Promise.race([result, Promise.resolve('waiting')])).toBe('waiting');
  await clock.advance(1);
  expect(await result).toMatchObject({ ok: false, failure: { kind: 'timeout' }, latencyMs: 9000 });
});
