import { describe, expect, test } from 'vitest';

import type { DefaultClaims } from 'keyverify';

import { VerdictCache } from '../../src/cache/verdict-cache.js';
import type { StoredSelector } from '../../src/core/selector.js';
import { ASKED_AT, NO_STORE, later, rejected, verdict, verified } from '../helpers/verdicts.js';

const OPTIONS = {
  cacheTtlMs: 1_000,
  rejectedTtlMs: 100,
  maxEntries: 4,
  maxRejectedEntries: 2,
  refreshAheadRatio: 0.9,
  random: () => 0,
};
const empty = (): VerdictCache<DefaultClaims> => new VerdictCache(OPTIONS);

const forget = (verdicts: VerdictCache<DefaultClaims>, selector: StoredSelector | 'all'): number =>
  verdicts.invalidate([{ selector }], 0);

const filled = (): VerdictCache<DefaultClaims> => {
  const verdicts = empty();
  verdicts.set('a', verdict(verified({ keyId: 'k-1', client: 'acme', tenant: 'cust-A' })), 0);
  verdicts.set('b', verdict(verified({ keyId: 'k-2', client: 'acme', tenant: 'cust-B' })), 0);
  verdicts.set('c', verdict(verified({ keyId: 'k-3', client: 'other', tenant: 'cust-B' })), 0);
  verdicts.set('r', verdict(rejected()), 0);
  return verdicts;
};

const which = (is: (fingerprint: string) => boolean): string => ['a', 'b', 'c', 'r', 'x'].filter(is).join('');
const kept = (verdicts: VerdictCache<DefaultClaims>): string =>
  which((fingerprint) => verdicts.get(fingerprint) !== undefined);
const invalidated = (verdicts: VerdictCache<DefaultClaims>): string =>
  which((fingerprint) => verdicts.isInvalidated(fingerprint));

describe('invalidation', () => {
  test.each([
    [{ fingerprint: 'a' }, 1, 'bcr', 'a'],
    [{ fingerprint: 'r' }, 1, 'abc', 'r'],
    [{ fingerprint: 'x' }, 0, 'abcr', 'x'],
    [{ keyId: 'k-2' }, 1, 'acr', 'b'],
    [{ client: 'acme' }, 2, 'cr', 'ab'],
    [{ tenant: 'cust-B' }, 2, 'ar', 'bc'],
    [{ tenant: 'cust-X' }, 0, 'abcr', ''],
  ] as const)('by %o forgets %i verdicts, keeps %s and marks %s', (selector, count, rest, marked) => {
    const verdicts = filled();
    expect(forget(verdicts, selector)).toBe(count);
    expect(kept(verdicts)).toBe(rest);
    expect(invalidated(verdicts)).toBe(marked);
    // Nothing is left to forget.
    expect(forget(verdicts, selector)).toBe(0);
    expect(invalidated(verdicts)).toBe(marked);
  });

  test('leaves a key that was good among the known ones, which go first, and makes no other one known', () => {
    const verdicts = filled();
    for (const fingerprint of ['a', 'r', 'x']) forget(verdicts, { fingerprint });
    forget(verdicts, { tenant: 'cust-B' });
    expect(which((fingerprint) => verdicts.isKnown(fingerprint))).toBe('abc');
  });

  test('wins over an answer that was asked for before it, not over a later one', () => {
    const verdicts = empty();
    const before = verdicts.position;
    forget(verdicts, { tenant: 'cust-A' });
    verdicts.set('a', verdict(verified()), before);
    expect(kept(verdicts)).toBe('');
    verdicts.set('a', verdict(verified()), verdicts.position);
    expect(kept(verdicts)).toBe('a');
  });

  test.each([
    ['verifies', verified(), 'a'],
    ['rejects', rejected(), 'a'],
  ])('lasts until a later answer %s', (_, result, rest) => {
    const verdicts = filled();
    const before = verdicts.position;
    forget(verdicts, { fingerprint: 'a' });
    verdicts.set('a', verdict(result, 1), before);
    expect(invalidated(verdicts)).toBe('a');
    verdicts.set('a', verdict(result, 1), verdicts.position);
    expect(invalidated(verdicts)).toBe('');
    expect(kept(verdicts)).toContain(rest);
  });

  test('also ends with an answer that is not kept', () => {
    const verdicts = filled();
    forget(verdicts, { fingerprint: 'a' });
    verdicts.set('a', verdict(verified(), 1, NO_STORE), verdicts.position);
    expect(invalidated(verdicts)).toBe('');
    expect(kept(verdicts)).toBe('bcr');
  });

  test('is bounded like the verdicts: made-up fingerprints do not evict verified keys', () => {
    const verdicts = filled();
    for (let at = 0; at < 10; at++) forget(verdicts, { fingerprint: `made-up-${at}` });
    expect(kept(verdicts)).toBe('abcr');
    expect(verdicts.sizes).toEqual({ verified: 3, rejected: 1 });
  });
});

describe('clear', () => {
  test('forgets every verdict, and says how many', () => {
    const verdicts = filled();
    expect(verdicts.clear(ASKED_AT)).toBe(4);
    expect(kept(verdicts)).toBe('');
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
  });

  test('keeps out what may not be let in: rejected, expired, invalidated, known or not', () => {
    const verdicts = filled();
    verdicts.set('b', verdict(verified({ expiresAt: ASKED_AT.wall + 50 }), 1), 0);
    forget(verdicts, { fingerprint: 'c' });
    forget(verdicts, { fingerprint: 'x' });
    const then = { wall: ASKED_AT.wall + 50, mono: ASKED_AT.mono + 50 };
    verdicts.clear(then);
    expect(invalidated(verdicts)).toBe('bcrx');
    verdicts.clear(then);
    expect(invalidated(verdicts)).toBe('bcrx');
  });

  test('keeps out what was invalidated by more than a fingerprint and not looked up since', () => {
    const verdicts = filled();
    forget(verdicts, { tenant: 'cust-B' });
    verdicts.clear(ASKED_AT);
    expect(invalidated(verdicts)).toBe('bcr');
  });

  test('wins over an answer in flight', () => {
    const verdicts = filled();
    const before = verdicts.position;
    verdicts.clear(ASKED_AT);
    verdicts.set('a', verdict(verified()), before);
    expect(kept(verdicts)).toBe('');
  });
});

describe('what other processes say', () => {
  const NOW = { wall: ASKED_AT.wall + 100, mono: ASKED_AT.mono + 100 };
  const at = (position: string) => ({ source: 's', position, gaps: 0 });
  const shared = (mono: number, position?: string) => ({
    mono,
    positions: position === undefined ? {} : { s: { position, gaps: 0 } },
  });

  test('is applied once, however often it is delivered', () => {
    const verdicts = filled();
    const revoked = [{ selector: { tenant: 'cust-B' }, stream: at('5-0') }];
    expect(verdicts.invalidate(revoked, 0)).toBe(2);
    verdicts.set('b', verdict(verified({ tenant: 'cust-B' }), 1), verdicts.position);
    expect(verdicts.invalidate(revoked, 0)).toBe(0);
    expect(kept(verdicts)).toBe('abr');
  });

  test('about all keys also keeps out those of which nothing is known, cleared or not', () => {
    const verdicts = filled();
    expect(verdicts.isInvalidated('x')).toBe(false);
    expect(forget(verdicts, 'all')).toBe(4);
    expect(invalidated(verdicts)).toBe('abcrx');
    verdicts.clear(ASKED_AT);
    expect(invalidated(verdicts)).toBe('abcrx');
  });

  test('of a change ends the freshness of a verdict, and keeps it for an outage', () => {
    const verdicts = filled();
    expect(verdicts.expire([{ selector: { client: 'acme' }, stream: at('5-0') }], NOW.mono)).toBe(2);
    expect(['a', 'b', 'c'].map((fingerprint) => verdicts.get(fingerprint)?.ttlMs)).toEqual([0, 0, 1_000]);
    const before = verdicts.position;
    expect(verdicts.expire([{ selector: { fingerprint: 'x' }, stream: at('6-0') }], NOW.mono)).toBe(0);
    verdicts.set('x', verdict(verified(), 1), before);
    expect(verdicts.get('x')).toMatchObject({ ttlMs: 0, fullTtlMs: 1_000 });
  });

  test('refuses a shared verdict that was asked for before it, by the position of the process that asked', () => {
    const verdicts = empty();
    verdicts.invalidate([{ selector: { tenant: 'cust-A' }, stream: at('5-1') }], 50);
    const set = (asked: ReturnType<typeof shared>) => verdicts.set('a', verdict(verified()), asked);
    expect(set(shared(40))).toBe(false);
    expect(set(shared(50))).toBe(false);
    expect(set(shared(90, '5-0'))).toBe(false);
    expect(invalidated(verdicts)).toBe('a');
    expect(set(shared(51))).toBe(true);
    expect(set(shared(40, '5-1'))).toBe(true);
    expect(kept(verdicts)).toBe('a');
  });

  test('leaves what this process knows better', () => {
    const verdicts = filled();
    verdicts.set('a', verdict(verified(), 10), verdicts.position);
    verdicts.invalidate([{ selector: { tenant: 'cust-X' }, stream: at('5-1') }], 50);
    expect(verdicts.set('a', verdict(verified({ tenant: 'cust-X' })), shared(0))).toBe(false);
    expect(kept(verdicts)).toBe('abcr');
  });

  test('may have been lost: verdicts are fresh no longer than a window, from then on', () => {
    const verdicts = new VerdictCache<DefaultClaims>({ ...OPTIONS, cacheTtlMs: 300_000 });
    const fingerprint = '\x80\x00';
    verdicts.set(fingerprint, verdict(verified()), 0);
    verdicts.set('gone', verdict(verified()), 0);
    verdicts.invalidate([{ selector: { fingerprint: 'gone' } }], 0);
    const before = verdicts.position;
    verdicts.suspect(NOW);
    expect(verdicts.get(fingerprint)).toMatchObject({ ttlMs: 30_100, refreshAtAge: 20_350, fullTtlMs: 300_000 });
    for (const asked of [before, shared(NOW.mono)]) {
      verdicts.set(fingerprint, verdict(verified(), 20), asked);
      expect(verdicts.get(fingerprint)?.ttlMs).toBe(30_080);
    }
    for (const asked of [verdicts.position, shared(NOW.mono + 1)]) {
      verdicts.set(fingerprint, verdict(verified(), 200), asked);
      expect(verdicts.get(fingerprint)).toMatchObject({ ttlMs: 300_000, refreshAtAge: 270_000 });
    }
  });

  test.each([
    [1, 30_000],
    [300, 30_000],
    [301, 30_100],
    [1_500, 150_000],
    [3_000, 150_000],
  ])('may have been lost: of %d verdicts, the window is %d ms', (count, windowMs) => {
    const verdicts = new VerdictCache<DefaultClaims>({
      cacheTtlMs: 300_000,
      rejectedTtlMs: 100,
      maxEntries: 3_000,
      maxRejectedEntries: 2,
      refreshAheadRatio: 0.9,
      random: () => 0,
    });
    for (let i = 0; i < count; i++) verdicts.set(`key ${i}`, verdict(verified()), 0);
    verdicts.suspect(ASKED_AT);
    expect(verdicts.get('key 0')?.ttlMs).toBe(windowMs);
    // Also of what comes in later, and was asked for before.
    verdicts.set('late', verdict(verified()), 0);
    expect(verdicts.get('late')?.ttlMs).toBe(windowMs);
  });

  test('is capped while a source is down', () => {
    const verdicts = empty();
    verdicts.set('a', verdict(verified()), 0, 300);
    expect(verdicts.get('a')).toMatchObject({ ttlMs: 300, fullTtlMs: 1_000, refreshAtAge: 270 });
  });

  test('may have been lost more than once: verdicts are suspect since the first time', () => {
    const verdicts = new VerdictCache<DefaultClaims>({ ...OPTIONS, cacheTtlMs: 300_000 });
    verdicts.set('a', verdict(verified()), 0);
    for (let at = 1; at <= 40; at++) verdicts.suspect(later(1_000 * at));
    expect(verdicts.get('a')?.ttlMs).toBe(31_000);
    const before = verdicts.position - 1;
    // Two gaps that are told apart no longer count since the first of them.
    verdicts.set('b', verdict(verified(), 39_500), before);
    expect(verdicts.get('b')?.ttlMs).toBe(30_500);
    verdicts.set('c', verdict(verified(), 39_500), 2);
    expect(verdicts.get('c')?.ttlMs).toBe(0);
  });

  test('may have been lost: of refusals, nothing is suspected', () => {
    const verdicts = filled();
    const { ttlMs } = verdicts.get('r') ?? {};
    verdicts.suspect(later(0));
    expect(verdicts.get('r')?.ttlMs).toBe(ttlMs);
  });
});

test('a stream that delivers a revocation twice forgets no verdict that was asked for in between', () => {
  for (const selector of [{ fingerprint: 'a' }, { tenant: 'cust-A' }]) {
    const verdicts = filled();
    const revocation = { selector, stream: { source: 's', position: '1-1', gaps: 0 } };
    expect(verdicts.invalidate([revocation], 0)).toBe(1);
    verdicts.set('a', verdict(verified({ tenant: 'cust-A' })), verdicts.position);
    expect(verdicts.invalidate([revocation], 0)).toBe(0);
    expect(verdicts.get('a')?.result.valid).toBe(true);
  }
});

describe('in a large cache', () => {
  const SWEEP = 512;
  const SIZE = 2 * SWEEP + 10;
  const large = (): VerdictCache<DefaultClaims> => {
    const verdicts = new VerdictCache<DefaultClaims>({ ...OPTIONS, maxEntries: SIZE });
    for (let at = 0; at < SIZE; at++)
      verdicts.set(`f-${at}`, verdict(verified({ tenant: `t-${at % 2}`, client: `c-${at}` })), verdicts.position);
    return verdicts;
  };

  test('an invalidation looks at a few verdicts, and the others go when they are looked up', () => {
    const verdicts = large();
    expect(forget(verdicts, { tenant: 't-0' })).toBe(SWEEP / 2);
    for (let at = 0; at < SIZE; at++) {
      expect(verdicts.isInvalidated(`f-${at}`)).toBe(at % 2 === 0);
      expect(verdicts.get(`f-${at}`)?.result.status).toBe(at % 2 === 0 ? undefined : 'verified');
    }
  });

  test('each invalidation looks at the next ones, in a circle', () => {
    const verdicts = large();
    expect(forget(verdicts, { tenant: 't-0' })).toBe(SWEEP / 2);
    expect(forget(verdicts, { tenant: 't-X' })).toBe(SWEEP / 2);
    expect(forget(verdicts, { tenant: 't-X' })).toBe(5);
    expect(forget(verdicts, { tenant: 't-1' })).toBe(SWEEP / 2);
  });

  test('a key is forgotten at once, wherever it is, and counted', () => {
    const verdicts = large();
    expect(forget(verdicts, { fingerprint: `f-${SIZE - 1}` })).toBe(1);
    expect(verdicts.get(`f-${SIZE - 1}`)).toBeUndefined();
  });

  test('many at once look at more', () => {
    const verdicts = large();
    const many = Array.from({ length: SWEEP / 2 }, (_, at) => ({ selector: { tenant: `t-${at}` } }));
    expect(verdicts.invalidate(many, 0)).toBe(2 * SWEEP);
  });

  test('the end of the freshness is bounded in the same way', () => {
    const verdicts = large();
    expect(verdicts.expire([{ selector: { tenant: 't-0' } }], 0)).toBe(SWEEP / 2);
    expect(verdicts.get(`f-${SIZE - 2}`)?.ttlMs).toBe(0);
    expect(verdicts.get(`f-${SIZE - 1}`)?.ttlMs).toBe(1_000);
  });

  test('a verdict that was never selected outlives what the log drops', () => {
    const verdicts = large();
    for (let batch = 0; batch < 40; batch++)
      verdicts.invalidate(
        Array.from({ length: 1_000 }, (_, at) => ({ selector: { keyId: `other-${batch}-${at}` } })),
        0,
      );
    expect(verdicts.get('f-1')?.result.status).toBe('verified');
    expect(verdicts.get(`f-${SIZE - 1}`)?.result.status).toBe('verified');
  });

  test('verdicts that make room while others are looked at keep none of the others from being found', () => {
    const verdicts = large();
    forget(verdicts, { tenant: 't-X' });
    for (let at = 0; at < SIZE; at++) verdicts.set(`g-${at}`, verdict(verified({ tenant: 't-2' })), verdicts.position);
    let found = forget(verdicts, { tenant: 't-2' });
    for (let call = 0; call < 6; call++) found += forget(verdicts, { tenant: 't-X' });
    expect(found).toBe(SIZE);
  });

  test('neither does one that went while it was next', () => {
    const verdicts = large();
    forget(verdicts, { tenant: 't-X' });
    verdicts.set(`f-${SWEEP - 1}`, verdict(verified(), 1, NO_STORE), verdicts.position);
    let found = forget(verdicts, { tenant: 't-0' });
    for (let call = 0; call < 6; call++) found += forget(verdicts, { tenant: 't-X' });
    expect(found).toBe(SIZE / 2);
  });
});
