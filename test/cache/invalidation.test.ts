import { describe, expect, test } from 'vitest';

import type { DefaultClaims } from 'keyverify';

import { VerdictCache } from '../../src/cache/verdict-cache.js';
import { NO_STORE, rejected, verdict, verified } from '../helpers/verdicts.js';

const empty = (): VerdictCache<DefaultClaims> =>
  new VerdictCache({ cacheTtlMs: 1_000, rejectedTtlMs: 100, maxEntries: 4, maxRejectedEntries: 2, random: () => 0 });

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
    expect(verdicts.invalidate(selector)).toBe(count);
    expect(kept(verdicts)).toBe(rest);
    expect(invalidated(verdicts)).toBe(marked);
    // Nothing is left to forget.
    expect(verdicts.invalidate(selector)).toBe(0);
    expect(invalidated(verdicts)).toBe(marked);
  });

  test('leaves a key that was good among the known ones, which go first, and makes no other one known', () => {
    const verdicts = filled();
    for (const fingerprint of ['a', 'r', 'x']) verdicts.invalidate({ fingerprint });
    verdicts.invalidate({ tenant: 'cust-B' });
    expect(which((fingerprint) => verdicts.isKnown(fingerprint))).toBe('abc');
  });

  test('wins over an answer that was asked for before it, not over a later one', () => {
    const verdicts = empty();
    const before = verdicts.position;
    verdicts.invalidate({ tenant: 'cust-A' });
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
    verdicts.invalidate({ fingerprint: 'a' });
    verdicts.set('a', verdict(result, 1), before);
    expect(invalidated(verdicts)).toBe('a');
    verdicts.set('a', verdict(result, 1), verdicts.position);
    expect(invalidated(verdicts)).toBe('');
    expect(kept(verdicts)).toContain(rest);
  });

  test('also ends with an answer that is not kept', () => {
    const verdicts = filled();
    verdicts.invalidate({ fingerprint: 'a' });
    verdicts.set('a', verdict(verified(), 1, NO_STORE), verdicts.position);
    expect(invalidated(verdicts)).toBe('');
    expect(kept(verdicts)).toBe('bcr');
  });

  test('is bounded like the verdicts: made-up fingerprints do not evict verified keys', () => {
    const verdicts = filled();
    for (let at = 0; at < 10; at++) verdicts.invalidate({ fingerprint: `made-up-${at}` });
    expect(kept(verdicts)).toBe('abc');
    expect(verdicts.sizes).toEqual({ verified: 3, rejected: 2 });
  });
});

describe('clear', () => {
  test('forgets everything, marks included, and says how many', () => {
    const verdicts = filled();
    expect(verdicts.clear()).toBe(4);
    expect(kept(verdicts)).toBe('');
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
    verdicts.invalidate({ fingerprint: 'x' });
    verdicts.clear();
    expect(invalidated(verdicts)).toBe('');
  });

  test('wins over an answer that is in the air', () => {
    const verdicts = filled();
    const before = verdicts.position;
    verdicts.clear();
    verdicts.set('a', verdict(verified()), before);
    expect(kept(verdicts)).toBe('');
  });
});
