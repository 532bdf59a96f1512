import { expect, test } from 'vitest';

import { UNSENT } from '../../src/client/call-failures.js';
import { ControlCall } from '../../src/client/control-call.js';
import { NO_LAG } from '../../src/resilience/loop-lag.js';
import { TOKEN, startCall } from '../helpers/call.js';
import { failure } from '../helpers/control.js';

const TIMEOUT = failure('timeout');

test.each([
  ['at once, and hangs', 0, true, TIMEOUT],
  ['within a tenth of its time, and hangs', 200, true, TIMEOUT],
  ['later, and hangs', 201, false, UNSENT],
  ['never', Infinity, false, UNSENT],
])('a control question that is handed to a connection %s', async (_, sentAfterMs, isSent, expected) => {
  const { call, clock, transport } = startCall({ retries: 0, source: async () => await Promise.resolve(TOKEN) });
  transport.isSent = sentAfterMs === 0;
  const control = new ControlCall(call, 2_000, clock, NO_LAG);
  // Nobody knows yet whether it waits.
  expect(control.isSent).toBe(false);
  for (let ms = 1; ms <= 300; ms++) {
    transport.isSent = ms >= sentAfterMs;
    await clock.advance(1);
  }
  expect([control.isSent, control.settle(TIMEOUT)]).toEqual([isSent, expected]);
});
