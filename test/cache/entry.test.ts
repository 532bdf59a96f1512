import { describe, expect, test } from 'vitest';

import { VerifyFailure, type Rejected, type Verified } from 'keyverify';

import { Entry } from '../../src/cache/entry.js';
import { ASKED_AT, later, rejected, verified } from '../helpers/verdicts.js';

const TTL = 1_000;
const entry = (result: Verified | Rejected = verified(), askedAt = ASKED_AT): Entry<Verified['claims']> =>
  new Entry(result, askedAt, { ttlMs: TTL, refreshAtAge: 0, noStale: false });

describe('the age of an entry', () => {
  test('follows the wall clock where the monotonic clock slept', () => {
    expect(entry().age({ wall: ASKED_AT.wall + 70, mono: ASKED_AT.mono + 3 })).toBe(70);
  });

  test('follows the monotonic clock where the wall clock was set back', () => {
    expect(entry().age({ wall: ASKED_AT.wall - 9_000, mono: ASKED_AT.mono + 30 })).toBe(30);
  });

  test('counts from when the key server was asked', () => {
    expect(entry()).toMatchObject({ mono: ASKED_AT.mono, ttlMs: TTL, noStale: false, result: verified() });
    expect(entry().age(ASKED_AT)).toBe(0);
  });

  test('is rounded up, never down, where the clock has fractions', () => {
    const asked = { wall: ASKED_AT.wall, mono: ASKED_AT.mono + 0.75 };
    expect(entry(verified(), asked).age({ wall: ASKED_AT.wall, mono: ASKED_AT.mono + 10.75 })).toBe(10.75);
    for (const noStale of [false, true]) {
      const precise = new Entry(verified(), asked, { ttlMs: TTL, refreshAtAge: 0, noStale });
      expect(precise).toMatchObject({ mono: asked.mono, noStale, isVerified: true });
    }
  });
});

test('an entry is fresh within its TTL, for those who want no younger one', () => {
  const fresh = (age: number, maxAgeMs: number) => entry().isFresh(age, maxAgeMs);
  expect([fresh(999, Infinity), fresh(1_000, Infinity), fresh(1_001, Infinity)]).toEqual([true, false, false]);
  expect([fresh(499, 500), fresh(500, 500), fresh(1_000, 2_000)]).toEqual([true, false, false]);
});

describe('the end of a key', () => {
  test('comes at expiresAt, to the millisecond', () => {
    const ending = entry(verified({ expiresAt: ASKED_AT.wall + 1_200 }));
    expect([1_199, 1_199.9, 1_200, 1_201].map((age) => ending.hasEnded(age))).toEqual([false, false, true, true]);
  });

  test('never comes without expiresAt, nor for a refusal', () => {
    expect(entry().hasEnded(1e12)).toBe(false);
    expect(entry(rejected()).hasEnded(1e12)).toBe(false);
  });
});

describe('after a failed refresh', () => {
  const failure = new VerifyFailure('timeout', 'late');

  test('the key is not asked about until the backoff ends', () => {
    const backingOff = entry();
    backingOff.backoff = { until: 200, since: 100, failure, alone: 0 };
    expect(backingOff.backoffFailure(0)).toBe(failure);
    expect(backingOff.backoffFailure(199.9)).toBe(failure);
    expect(backingOff.backoffFailure(200)).toBeUndefined();
  });

  test('only that key backs off', () => {
    expect(entry().backoffFailure(0)).toBeUndefined();
  });

  test.each([
    [0, 950],
    [0.5, 975],
    [0.999, 1_000],
  ])('the next refresh is due in the second half of the time left, at random: %d', (random, atAge) => {
    const deferred = entry();
    expect(deferred.refreshAtAge).toBe(0);
    deferred.deferRefresh(900, () => random);
    expect(deferred.refreshAtAge).toBe(atAge);
  });
});

describe('a stale verdict', () => {
  test.each([
    verified({ source: 'cache', keyId: 'k-1', expiresAt: ASKED_AT.wall + 1 }),
    verified({ source: 'cache' }),
    rejected('disabled', 'cache'),
  ])('is the cached one with another source: %o', (result) => {
    expect(new Entry(result, later(0), { ttlMs: TTL, refreshAtAge: 0, noStale: true }).asStale()).toStrictEqual({
      ...result,
      source: 'stale',
    });
  });

  test('is one frozen object, however often it is served', () => {
    const old = entry();
    expect(Object.isFrozen(old.asStale())).toBe(true);
    expect(old.asStale()).toBe(old.asStale());
  });
});

describe('an entry that may be out of date', () => {
  test('is fresh up to the age at which something happened, and never longer than it was', () => {
    const changed = entry();
    changed.expireAt(400.5);
    expect(changed).toMatchObject({ ttlMs: 400, fullTtlMs: TTL });
    changed.expireAt(900);
    expect(changed.ttlMs).toBe(400);
    changed.expireAt(-5);
    expect(changed.ttlMs).toBe(0);
  });

  test.each([
    [0, 140],
    [0.5, 168],
    [1, 195],
  ])('is refreshed within the later part of a window, by its share of %d, and fresh for all of it', (share, atAge) => {
    const suspect = new Entry(verified(), ASKED_AT, { ttlMs: TTL, refreshAtAge: 900, noStale: false });
    suspect.suspectSince(100, 100, share);
    expect(suspect).toMatchObject({ ttlMs: 200, fullTtlMs: TTL, refreshAtAge: atAge });
    suspect.suspectSince(150, 100, share);
    expect(suspect).toMatchObject({ ttlMs: 200, refreshAtAge: atAge });
  });

  test('keeps a refresh that is due within the window by itself', () => {
    const suspect = new Entry(verified(), ASKED_AT, { ttlMs: TTL, refreshAtAge: 900, noStale: false });
    suspect.suspectSince(805, 100, 0);
    expect(suspect).toMatchObject({ ttlMs: 905, refreshAtAge: 900 });
    suspect.suspectSince(804, 100, 0);
    expect(suspect).toMatchObject({ ttlMs: 904, refreshAtAge: 844 });
  });

  test('is known by when it was asked for', () => {
    expect(entry().isFrom(ASKED_AT.wall)).toBe(true);
    expect(entry().isFrom(ASKED_AT.wall + 1)).toBe(false);
  });
});
