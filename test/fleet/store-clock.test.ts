import { describe, expect, test } from 'vitest';

import { testClock } from 'keyverify/testing';

import { StoreClock } from '../../src/fleet/store-clock.js';

const STORE_AHEAD = 123_456_789;

/** A store that answers after `ms`, half of which is the way to it, with a clock that is `aheadMs` ahead of the others. */
function rig() {
  const clock = testClock();
  const store = new StoreClock(clock);
  const time = (aheadMs = 0): number => clock.monotonic() + STORE_AHEAD + aheadMs;
  const ask = async ({ ms = 2, aheadMs = 0 } = {}): Promise<void> => {
    const askedAt = store.begin();
    await clock.advance(ms / 2);
    const told = Math.floor(time(aheadMs));
    await clock.advance(ms / 2);
    store.tell(told, askedAt);
  };
  const asks = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await ask();
  };
  return { clock, store, time, ask, asks };
}

describe('the clock of a store', () => {
  test('is known once it was told often enough', async () => {
    const { store, asks } = rig();
    expect(store.isKnown).toBe(false);
    await asks(8);
    expect(store.isKnown).toBe(false);
    await asks(1);
    expect(store.isKnown).toBe(true);
  });

  test('is never taken for earlier than it is, nor for much later', async () => {
    const { clock, store, time, ask, asks } = rig();
    await asks(9);
    for (const ms of [0, 0.5, 1, 3, 40]) {
      await ask({ ms });
      for (const later of [0, 0.3, 100, 600]) {
        await clock.advance(later);
        const now = store.timeFor(0);
        expect(now).toBeGreaterThanOrEqual(time());
        expect(now).toBeLessThanOrEqual(time() + ms + 1);
      }
    }
  });

  test('is known for a second', async () => {
    const { clock, store, asks } = rig();
    await asks(9);
    await clock.advance(997.5);
    expect(store.isKnown).toBe(true);
    await clock.advance(0.5);
    expect(store.isKnown).toBe(false);
    await asks(1);
    expect(store.isKnown).toBe(true);
  });

  test('tells nothing of an entry that was put after the time was told: it may have been set since', async () => {
    const { store, time, asks } = rig();
    await asks(9);
    const told = time() - 1;
    expect([store.timeFor(told), store.timeFor(told + 1)]).toEqual([expect.any(Number), undefined]);
  });

  test.each([-20, 20])('is not known where another node answers whose clock is %d ms off', async (aheadMs) => {
    const { store, ask, asks } = rig();
    await asks(20);
    await ask({ aheadMs });
    expect(store.isKnown).toBe(false);
    await asks(1_000);
    expect(store.isKnown).toBe(false);
    await asks(1);
    expect(store.isKnown).toBe(true);
  });

  test.each([-101, 101])('is not known once a clock of this process jumped by %d ms', async (ms) => {
    const { clock, store, asks } = rig();
    await asks(9);
    clock.jumpWall(ms);
    expect(store.isKnown).toBe(false);
    await asks(1);
    expect(store.isKnown).toBe(true);
  });

  test('is not known for what is no time', async () => {
    const { store, asks } = rig();
    store.tell(NaN, store.begin());
    await asks(9);
    expect(store.isKnown).toBe(false);
  });
});
