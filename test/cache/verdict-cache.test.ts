import { describe, expect, test } from 'vitest';

import type { DefaultClaims, Rejected, Verified } from 'keyverify';

import { VerdictCache, type VerdictCacheOptions } from '../../src/cache/verdict-cache.js';
import { ASKED_AT, NO_STORE, rejected, verdict, verified } from '../helpers/verdicts.js';

function cache(options: Partial<VerdictCacheOptions> = {}): VerdictCache<DefaultClaims> {
  return new VerdictCache({
    cacheTtlMs: 1_000,
    rejectedTtlMs: 100,
    maxEntries: 3,
    maxRejectedEntries: 2,
    refreshAheadRatio: 0.9,
    random: () => 0,
    ...options,
  });
}

function use(verdicts: VerdictCache<DefaultClaims>, fingerprint: string, age: number): void {
  const entry = verdicts.get(fingerprint);
  if (entry !== undefined) verdicts.touch(fingerprint, entry, age);
}

const kept = (verdicts: VerdictCache<DefaultClaims>, fingerprints: string): string =>
  Array.from(fingerprints)
    .filter((fingerprint) => verdicts.get(fingerprint) !== undefined)
    .join('');

const cached = (verdicts: VerdictCache<DefaultClaims>): unknown => verdicts.get('f')?.result.status;

describe('the TTL of a verdict', () => {
  const ttl = (result: Verified | Rejected, maxAgeMs = Infinity, random = 0): number | undefined => {
    const verdicts = cache({ random: () => random });
    verdicts.set('f', verdict(result, 0, { maxAgeMs }), 0);
    return verdicts.get('f')?.ttlMs;
  };

  test('is cacheTtlMs for a verified key, rejectedTtlMs for a rejected one', () => {
    expect(ttl(verified())).toBe(1_000);
    expect(ttl(rejected())).toBe(100);
  });

  test('is shortened at random, by a tenth at most, to whole milliseconds', () => {
    expect(ttl(verified(), Infinity, 0.5)).toBe(950);
    expect(ttl(verified(), Infinity, 1)).toBe(900);
    expect(ttl(rejected(), Infinity, 1)).toBe(90);
    expect(ttl(rejected(), Infinity, 0.55)).toBe(94);
  });

  test('is shortened to what the server allows, never lengthened', () => {
    expect(ttl(verified(), 400)).toBe(400);
    expect(ttl(verified(), 0)).toBe(0);
    expect(ttl(rejected(), 40)).toBe(40);
    expect(ttl(verified(), 5_000)).toBe(1_000);
  });

  test('ends with the key, counted from when it was asked for', () => {
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 300 }))).toBe(300);
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 3_000 }))).toBe(1_000);
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 300 }), 200)).toBe(200);
  });
});

describe('a cached verdict', () => {
  test.each([verified(), verified({ keyId: 'k-1', expiresAt: ASKED_AT.wall + 9_000 }), rejected()])(
    'is frozen, with source cache and its own time: %o',
    (result) => {
      const verdicts = cache();
      verdicts.set('f', verdict(result), 0);
      const entry = verdicts.get('f');
      expect(entry?.result).toStrictEqual({ ...result, source: 'cache' });
      expect(Object.isFrozen(entry?.result)).toBe(true);
      expect(entry?.age(ASKED_AT)).toBe(0);
      expect(verdicts.get('g')).toBeUndefined();
    },
  );

  test('is served past its TTL only where the server does not forbid it', () => {
    const verdicts = cache();
    for (const noStale of [true, false]) {
      verdicts.set('f', verdict(verified(), 0, { noStale }), 0);
      expect(verdicts.get('f')?.noStale).toBe(noStale);
    }
  });

  test('is the only one of its key, also where a verified key is rejected or a rejected one verified', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(verified()), 0);
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 0 });
    expect(verdicts.isKnown('f')).toBe(true);
    verdicts.set('f', verdict(rejected(), 1), 0);
    expect(cached(verdicts)).toBe('rejected');
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 1 });
    expect(verdicts.isKnown('f')).toBe(false);
    verdicts.set('f', verdict(verified(), 2), 0);
    expect(cached(verdicts)).toBe('verified');
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 0 });
  });
});

describe('a verdict with no-store', () => {
  test('is not kept where it verifies, and what was known is forgotten', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(verified()), 0);
    verdicts.set('f', verdict(verified(), 1, NO_STORE), 0);
    expect(verdicts.get('f')).toBeUndefined();
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
  });

  test('says that the key was good, until it is known to be bad', () => {
    const verdicts = cache();
    expect(verdicts.isKnown('f')).toBe(false);
    verdicts.set('f', verdict(verified(), 1, NO_STORE), 0);
    expect([verdicts.isKnown('f'), verdicts.isKnown('g')]).toEqual([true, false]);
    verdicts.set('f', verdict(rejected(), 2, NO_STORE), 0);
    expect(verdicts.isKnown('f')).toBe(false);
  });

  test('says so of maxEntries keys at the most', () => {
    const verdicts = cache({ maxEntries: 2 });
    for (const key of ['f', 'g', 'h']) verdicts.set(key, verdict(verified(), 1, NO_STORE), 0);
    expect(['f', 'g', 'h'].map((key) => verdicts.isKnown(key))).toEqual([false, false, true]);
  });

  test('leaves a mark where the key itself is invalidated, and nothing to find its client by', () => {
    const verdicts = cache();
    for (const key of ['f', 'g']) verdicts.set(key, verdict(verified(), 1, NO_STORE), 0);
    verdicts.invalidate([{ selector: { fingerprint: 'f' } }], 2);
    const { client } = verified();
    verdicts.invalidate([{ selector: { client } }], 2);
    expect([verdicts.isInvalidated('f'), verdicts.isInvalidated('g')]).toEqual([true, false]);
  });

  test('is kept where it rejects, but is never fresh', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(verified()), 0);
    verdicts.set('f', verdict(rejected(), 1, NO_STORE), 0);
    expect(verdicts.get('f')).toMatchObject({ ttlMs: 0, result: { status: 'rejected' } });
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 1 });
  });

  test('rejects, and an older valid verdict that was still in flight is not cached over it', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(rejected(), 5, NO_STORE), 0);
    verdicts.set('f', verdict(verified(), 4), 0);
    expect(cached(verdicts)).toBe('rejected');
  });
});

describe('a rate limit on a key', () => {
  test('is never cached', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(rejected('rate_limited')), 0);
    expect(verdicts.get('f')).toBeUndefined();
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
  });

  test.each([verified(), rejected()])('evicts nothing: %o', (result) => {
    const verdicts = cache();
    verdicts.set('f', verdict(result), 0);
    verdicts.set('f', verdict(rejected('rate_limited'), 1), 0);
    expect(verdicts.get('f')?.result).toStrictEqual({ ...result, source: 'cache' });
  });

  test('leaves an invalidated key invalidated', () => {
    const verdicts = cache();
    verdicts.invalidate([{ selector: { fingerprint: 'f' } }], 0);
    verdicts.set('f', verdict(rejected('rate_limited')), verdicts.position);
    expect(verdicts.isInvalidated('f')).toBe(true);
  });
});

describe('setting a verdict', () => {
  test('says whether it is cached now', () => {
    const verdicts = cache();
    expect(verdicts.set('f', verdict(verified(), 5), 0)).toBe(true);
    expect(verdicts.set('f', verdict(verified(), 4), 0)).toBe(false);
    expect(verdicts.set('f', verdict(rejected('rate_limited'), 6), 0)).toBe(false);
    expect(verdicts.set('f', verdict(verified(), 7, NO_STORE), 0)).toBe(false);
    expect(verdicts.set('f', verdict(rejected(), 8, NO_STORE), 0)).toBe(true);
    verdicts.invalidate([{ selector: { fingerprint: 'f' } }], 0);
    expect(verdicts.set('f', verdict(verified(), 9), 0)).toBe(false);
  });

  test('counts those that had to make room', () => {
    const verdicts = cache({ maxEntries: 3, maxRejectedEntries: 2 });
    for (const [i, fingerprint] of Array.from('abcabc').entries()) verdicts.set(fingerprint, verdict(verified(), i), 0);
    expect(verdicts.evictions).toBe(0);
    for (const fingerprint of 'de') verdicts.set(fingerprint, verdict(verified(), 9), 0);
    for (const fingerprint of 'xyz') verdicts.set(fingerprint, verdict(rejected(), 9), 0);
    expect(verdicts.evictions).toBe(3);
  });
});

describe('the order of answers', () => {
  test('an older answer does not replace a newer one', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(rejected(), 5), 0);
    verdicts.set('f', verdict(verified(), 4), 0);
    expect(cached(verdicts)).toBe('rejected');
    verdicts.set('f', verdict(verified(), 4, NO_STORE), 0);
    expect(cached(verdicts)).toBe('rejected');
    verdicts.set('f', verdict(verified(), 5), 0);
    expect(cached(verdicts)).toBe('verified');
  });

  test.each([
    [5.25, 5.5],
    [5.75, 6.25],
  ])('is told by fractions of a millisecond: %d ms before %d ms', (older, newer) => {
    const verdicts = cache();
    verdicts.set('f', verdict(rejected(), newer), 0);
    verdicts.set('f', verdict(verified(), older), 0);
    expect(cached(verdicts)).toBe('rejected');
    verdicts.set('f', verdict(verified(), newer + 0.125), 0);
    expect(cached(verdicts)).toBe('verified');
  });

  test('is told by the monotonic clock: the wall clock may have been set back', () => {
    const verdicts = cache();
    verdicts.set('f', verdict(verified()), 0);
    verdicts.set('f', { ...verdict(rejected()), askedAt: { wall: 0, mono: ASKED_AT.mono + 1 } }, 0);
    expect(cached(verdicts)).toBe('rejected');
  });
});

describe('the bounds', () => {
  const fill = (verdicts: VerdictCache<DefaultClaims>, fingerprints: string, result: Verified | Rejected): void => {
    for (const fingerprint of fingerprints) verdicts.set(fingerprint, verdict(result), 0);
  };

  test('the least recently used verdict is evicted first', () => {
    const verdicts = cache();
    fill(verdicts, 'abc', verified());
    use(verdicts, 'a', 500);
    fill(verdicts, 'd', verified());
    expect(verdicts.sizes.verified).toBe(3);
    expect(kept(verdicts, 'abcd')).toBe('acd');
  });

  test('get() is no use, and a use counts at most sixteen times in a TTL', () => {
    const verdicts = cache({ cacheTtlMs: 1_600 });
    fill(verdicts, 'abc', verified());
    expect(kept(verdicts, 'abc')).toBe('abc');
    use(verdicts, 'a', 99.9);
    use(verdicts, 'b', 100);
    fill(verdicts, 'd', verified());
    expect(kept(verdicts, 'abcd')).toBe('bcd');
    // Counted from the last use, not from the verdict.
    use(verdicts, 'b', 199);
    fill(verdicts, 'e', verified());
    expect(kept(verdicts, 'bcde')).toBe('bde');
    fill(verdicts, 'f', verified());
    expect(kept(verdicts, 'bdef')).toBe('def');
  });

  test('a use is noted in whole milliseconds', () => {
    const verdicts = cache();
    fill(verdicts, 'a', verified());
    use(verdicts, 'a', 500.9);
    expect(verdicts.get('a')?.touchedAtAge).toBe(500);
  });

  test('the use of a rejected key counts among the rejected ones', () => {
    const verdicts = cache();
    fill(verdicts, 'ab', rejected());
    use(verdicts, 'a', 50);
    fill(verdicts, 'c', rejected());
    expect(kept(verdicts, 'abc')).toBe('ac');
  });

  test('rejected keys do not evict verified ones, nor the other way round', () => {
    const verdicts = cache();
    fill(verdicts, 'g', verified());
    fill(verdicts, '0123456789', rejected());
    expect(verdicts.get('g')?.result.valid).toBe(true);
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 2 });
    fill(verdicts, 'ABCDEFGHIJ', verified());
    expect(verdicts.sizes).toEqual({ verified: 3, rejected: 2 });
  });
});
