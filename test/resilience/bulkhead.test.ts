import { describe, expect, test } from 'vitest';

import { Bulkhead } from '../../src/resilience/bulkhead.js';
import { FakeClock } from '../helpers/clock.js';

const PER_SLOT = 64;

function full(maxConcurrency: number) {
  const clock = new FakeClock();
  const limit = new Bulkhead(maxConcurrency, clock);
  for (let slot = 0; slot < maxConcurrency; slot++) limit.tryAcquire();
  return { clock, limit };
}

describe('the limit', () => {
  test('has as many slots as it says', () => {
    const limit = new Bulkhead(2, new FakeClock());
    expect([limit.tryAcquire(), limit.tryAcquire(), limit.tryAcquire()]).toEqual([true, true, false]);
    expect(limit.active).toBe(2);
    limit.release();
    expect(limit.active).toBe(1);
    expect(limit.tryAcquire()).toBe(true);
  });

  test('is none where it is infinite', () => {
    const limit = new Bulkhead(Infinity, new FakeClock());
    expect(Array.from({ length: 1_000 }, () => limit.tryAcquire()).every(Boolean)).toBe(true);
    expect(limit.active).toBe(1_000);
  });

  test('gives a slot to whoever has waited longest, and it stays taken', async () => {
    const { clock, limit } = full(1);
    const order: string[] = [];
    const waits = ['first', 'second'].map(async (name) => {
      expect(await limit.acquire('unknown', 1_000)).toBe(true);
      order.push(name);
    });
    expect(limit.queued).toBe(2);
    limit.release();
    expect(limit).toMatchObject({ active: 1, queued: 1 });
    expect(limit.tryAcquire()).toBe(false);
    limit.release();
    await Promise.all(waits);
    expect(order).toEqual(['first', 'second']);
    expect(limit).toMatchObject({ active: 1, queued: 0 });
    expect(clock.pending).toBe(0);
    limit.release();
    expect(limit.active).toBe(0);
  });

  test('lets known keys go before unknown ones', async () => {
    const { limit } = full(1);
    const order: string[] = [];
    const waits = (['unknown', 'known', 'known'] as const).map(async (lane, at) => {
      await limit.acquire(lane, 1_000);
      order.push(`${lane} ${at}`);
    });
    expect(limit.queued).toBe(3);
    for (let slot = 0; slot < 3; slot++) limit.release();
    await Promise.all(waits);
    expect(order).toEqual(['known 1', 'known 2', 'unknown 0']);
  });

  test('keeps nobody waiting past his time', async () => {
    const { clock, limit } = full(1);
    const outcomes: string[] = [];
    const waits = [100, 200].map(async (ms) => outcomes.push(`${ms}: ${String(await limit.acquire('unknown', ms))}`));
    await clock.advance(99);
    expect(outcomes).toEqual([]);
    await clock.advance(1);
    expect(outcomes).toEqual(['100: false']);
    expect(limit.queued).toBe(1);
    limit.release();
    await Promise.all(waits);
    expect(outcomes).toEqual(['100: false', '200: true']);
    expect(limit).toMatchObject({ active: 1, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  test.each(['known', 'unknown'] as const)('has a bounded lane for %s keys, 64 for every slot', async (lane) => {
    const { limit, clock } = full(2);
    const waits = Array.from({ length: 2 * PER_SLOT }, () => limit.acquire(lane, 1_000));
    expect(limit.queued).toBe(2 * PER_SLOT);
    expect(await limit.acquire(lane, 1_000)).toBe(false);
    const other = limit.acquire(lane === 'known' ? 'unknown' : 'known', 1_000);
    expect(limit.queued).toBe(2 * PER_SLOT + 1);
    await clock.advance(1_000);
    expect(new Set(await Promise.all([...waits, other]))).toEqual(new Set([false]));
    expect(limit).toMatchObject({ active: 2, queued: 0 });
  });
});
