import { describe, expect, test } from 'vitest';

import { VerifyFailure, type Rejected, type Verified } from 'keyverify';

import { Entry } from '../../src/cache/entry.js';
import { ASKED_AT, rejected, verified } from '../helpers/verdicts.js';

const TTL = 1_000;
const STALE = 500;
const entry = (result: Verified | Rejected = verified()): Entry<Verified['claims']> => new Entry(result, ASKED_AT, TTL);

describe('the age of an entry', () => {
  test('is what the wall clock says where the monotonic clock slept', () => {
    expect(entry().age({ wall: ASKED_AT.wall + 70, mono: ASKED_AT.mono + 3 })).toBe(70);
  });

  test('is what the monotonic clock says where the wall clock was set back', () => {
    expect(entry().age({ wall: ASKED_AT.wall - 9_000, mono: ASKED_AT.mono + 30 })).toBe(30);
  });

  test('counts from the moment that the key server was asked', () => {
    expect(entry()).toMatchObject({ mono: ASKED_AT.mono, ttlMs: TTL, result: verified() });
    expect(entry().age({ wall: ASKED_AT.wall, mono: ASKED_AT.mono })).toBe(0);
  });
});

describe('an entry whose refresh failed', () => {
  const failure = new VerifyFailure('timeout', 'late');

  test('rests up to the end of its rest, and no longer', () => {
    const resting = entry();
    resting.backoff = { until: 200, failure };
    expect(resting.backoffFailure(0)).toBe(failure);
    expect(resting.backoffFailure(199.9)).toBe(failure);
    expect(resting.backoffFailure(200)).toBeUndefined();
  });

  test.each([
    [0, 950],
    [0.5, 975],
    [0.999, 1_000],
  ])('leaves the next try for the second half of what is left, at random: %d', (chance, atAge) => {
    const postponed = entry();
    expect(postponed.refreshAtAge).toBe(0);
    postponed.deferRefresh(900, () => chance);
    expect(postponed.refreshAtAge).toBe(atAge);
  });

  test('is the only one that rests', () => {
    expect(entry().backoffFailure(0)).toBeUndefined();
  });
});

describe('a stale verdict', () => {
  test('is honoured up to staleIfErrorMs past its TTL, and no longer', () => {
    for (const result of [verified(), rejected()]) {
      expect(entry(result).stale(TTL + STALE - 0.1, STALE, Infinity)).toEqual({ ...result, source: 'stale' });
      expect(entry(result).stale(TTL + STALE, STALE, Infinity)).toBeUndefined();
    }
  });

  test('is not honoured at all with staleIfErrorMs 0', () => {
    expect(entry().stale(TTL, 0, Infinity)).toBeUndefined();
  });

  test('is one frozen object, however often it is honoured', () => {
    const old = entry();
    const first = old.stale(TTL, STALE, Infinity);
    expect(Object.isFrozen(first)).toBe(true);
    expect(old.stale(TTL + 1, STALE, Infinity)).toBe(first);
  });

  test('is a refusal from the very moment that its key ends', () => {
    const ending = entry(verified({ expiresAt: ASKED_AT.wall + 1_200 }));
    expect(ending.stale(1_199, STALE, Infinity)).toMatchObject({ valid: true, source: 'stale' });
    const ended = ending.stale(1_200, STALE, Infinity);
    expect(ended).toEqual({ valid: false, source: 'stale', reason: 'expired' });
    expect(Object.isFrozen(ended)).toBe(true);
  });

  test('of a key that has ended is past its bounds like any other', () => {
    const ended = entry(verified({ expiresAt: ASKED_AT.wall + TTL }));
    expect(ended.stale(TTL + STALE, STALE, Infinity)).toBeUndefined();
  });

  test('is not honoured for a caller who wants a younger one, where it verifies', () => {
    expect(entry().stale(1_200, STALE, 1_200.1)).toMatchObject({ valid: true });
    expect(entry().stale(1_200, STALE, 1_200)).toBeUndefined();
    expect(entry().stale(1_200, STALE, NaN)).toBeUndefined();
  });

  test('is never too old for a caller where it refuses, or where its key has ended', () => {
    expect(entry(rejected('disabled')).stale(1_200, STALE, 0)).toMatchObject({ reason: 'disabled' });
    expect(entry(verified({ expiresAt: ASKED_AT.wall + 1 })).stale(1_200, STALE, 0)).toMatchObject({
      reason: 'expired',
    });
  });
});
