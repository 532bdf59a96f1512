import { describe, expect, test } from 'vitest';

import { testClock } from 'keyverify/testing';

import { SharedCacheMonitor } from '../../src/observe/shared-cache.js';

const START = 1_000_000;

function setup({ sharesPromises = true } = {}) {
  const clock = testClock({ wall: START });
  const state = { isDown: false, probes: 0 };
  const monitor = new SharedCacheMonitor({
    clock,
    isDown: () => state.isDown,
    probe: () => state.probes++,
    sharesPromises,
  });
  return { clock, state, monitor };
}

describe('the health of a shared cache', () => {
  test('is ok before the first operation, and after one that worked', async () => {
    const { clock, monitor } = setup();
    await clock.advance(1_000);
    for (const outcome of ['hit', 'miss', 'unsealable'] as const) monitor.ended(outcome);
    expect(monitor.health).toEqual({ status: 'ok', since: START });
    expect(clock.pending).toBe(0);
  });

  test('is degraded after a failure, down once the store is left out, and says since when', async () => {
    const { clock, state, monitor } = setup();
    await clock.advance(500);
    monitor.ended('timeout');
    expect(monitor.health).toEqual({ status: 'degraded', since: START + 500, failure: 'timeout' });
    await clock.advance(500);
    state.isDown = true;
    monitor.ended('error');
    await clock.advance(500);
    monitor.ended('error');
    expect(monitor.health).toEqual({ status: 'down', since: START + 1_000, failure: 'error' });
    state.isDown = false;
    monitor.ended('miss');
    expect(monitor.health).toEqual({ status: 'ok', since: START + 1_500 });
  });
});

describe('a store that fails', () => {
  test('is probed every second until it works, by one timer', async () => {
    const { clock, state, monitor } = setup();
    for (let i = 0; i < 3; i++) monitor.ended('timeout');
    expect(clock.pending).toBe(1);
    await clock.advance(3_000);
    expect(state.probes).toBe(3);
    monitor.ended('miss');
    await clock.advance(10_000);
    expect([state.probes, clock.pending]).toEqual([3, 0]);
    monitor.ended('error');
    await clock.advance(1_000);
    expect(state.probes).toBe(4);
  });

  test('is probed no more once the verifier is closed, nor where timers end with their request', () => {
    const { clock, state, monitor } = setup();
    monitor.ended('timeout');
    monitor.close();
    monitor.ended('timeout');
    const isolate = setup({ sharesPromises: false });
    isolate.monitor.ended('timeout');
    expect([clock.pending, isolate.clock.pending, state.probes]).toEqual([0, 0, 0]);
    setup().monitor.close();
  });
});
