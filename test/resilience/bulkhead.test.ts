import { describe, expect, test } from 'vitest';

import { Limit } from '../../src/resilience/bulkhead.js';
import { FakeClock } from '../helpers/clock.js';

const PER_SLOT = 64;

function full(maxConcurrency: number) {
  const clock = new FakeClock();
  const limit = new Limit(maxConcurrency, clock);
  for (let slot = 0; slot < maxConcurrency; slot++) limit.enter();
  return { clock, limit };
}

describe('the limit', () => {
  test('has as many slots as it says', () => {
    const limit = new Limit(2, new FakeClock());
    expect([limit.enter(), limit.enter(), limit.enter()]).toEqual([true, true, false]);
    expect(limit.taken).toBe(2);
    limit.leave();
    expect(limit.taken).toBe(1);
    expect(limit.enter()).toBe(true);
  });

  test('is none where it is infinite', () => {
    const limit = new Limit(Infinity, new FakeClock());
    expect(Array.from({ length: 1_000 }, () => limit.enter()).every(Boolean)).toBe(true);
    expect(limit.taken).toBe(1_000);
  });

  test('gives a slot to whoever has waited longest, and it stays taken', async () => {
    const { clock, limit } = full(1);
    const order: string[] = [];
    const waits = ['first', 'second'].map(async (name) => {
      expect(await limit.wait('unknown', 1_000)).toBe(true);
      order.push(name);
    });
    expect(limit.waiting).toBe(2);
    limit.leave();
    expect(limit).toMatchObject({ taken: 1, waiting: 1 });
    expect(limit.enter()).toBe(false);
    limit.leave();
    await Promise.all(waits);
    expect(order).toEqual(['first', 'second']);
    expect(limit).toMatchObject({ taken: 1, waiting: 0 });
    expect(clock.pending).toBe(0);
    limit.leave();
    expect(limit.taken).toBe(0);
  });

  test('lets known keys go before unknown ones', async () => {
    const { limit } = full(1);
    const order: string[] = [];
    const waits = (['unknown', 'known', 'known'] as const).map(async (lane, at) => {
      await limit.wait(lane, 1_000);
      order.push(`${lane} ${at}`);
    });
    expect(limit.waiting).toBe(3);
    for (let slot = 0; slot < 3; slot++) limit.leave();
    await Promise.all(waits);
    expect(order).toEqual(['known 1', 'known 2', 'unknown 0']);
  });

  test('keeps nobody waiting past his time', async () => {
    const { clock, limit } = full(1);
    const outcomes: string[] = [];
    const waits = [100, 200].map(async (ms) => outcomes.push(`${ms}: ${String(await limit.wait('unknown', ms))}`));
    await clock.advance(99);
    expect(outcomes).toEqual([]);
    await clock.advance(1);
    expect(outcomes).toEqual(['100: false']);
    expect(limit.waiting).toBe(1);
    limit.leave();
    await Promise.all(waits);
    expect(outcomes).toEqual(['100: false', '200: true']);
    expect(limit).toMatchObject({ taken: 1, waiting: 0 });
    expect(clock.pending).toBe(0);
  });

  test.each(['known', 'unknown'] as const)('has a bounded lane for %s keys, 64 for every slot', async (lane) => {
    const { limit, clock } = full(2);
    const waits = Array.from({ length: 2 * PER_SLOT }, () => limit.wait(lane, 1_000));
    expect(limit.waiting).toBe(2 * PER_SLOT);
    expect(await limit.wait(lane, 1_000)).toBe(false);
    const other = limit.wait(lane === 'known' ? 'unknown' : 'known', 1_000);
    expect(limit.waiting).toBe(2 * PER_SLOT + 1);
    await clock.advance(1_000);
    expect(new Set(await Promise.all([...waits, other]))).toEqual(new Set([false]));
    expect(limit).toMatchObject({ taken: 2, waiting: 0 });
  });
});
