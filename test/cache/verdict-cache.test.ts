import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import type { DefaultClaims, Rejected, Verified } from 'keyverify';

import { systemClock } from '../../src/core/clock.js';
import { VerdictCache, type VerdictCacheOptions } from '../../src/cache/verdict-cache.js';
import { ASKED_AT, rejected, verified } from '../helpers/verdicts.js';

function cache(settings: Partial<VerdictCacheOptions> = {}): VerdictCache<DefaultClaims> {
  return new VerdictCache({
    cacheTtlMs: 1_000,
    rejectedTtlMs: 100,
    maxEntries: 3,
    maxRejectedEntries: 2,
    random: () => 0,
    ...settings,
  });
}

function use(verdicts: VerdictCache<DefaultClaims>, fingerprint: string, age: number): void {
  const entry = verdicts.get(fingerprint);
  if (entry !== undefined) verdicts.touch(fingerprint, entry, age);
}

const held = (verdicts: VerdictCache<DefaultClaims>, fingerprints: string): string =>
  Array.from(fingerprints)
    .filter((fingerprint) => verdicts.get(fingerprint) !== undefined)
    .join('');

const says = (result: Verified | Rejected, maxAgeMs: number | 'no-store' = Infinity) => ({ result, maxAgeMs });
const later = (ms: number) => ({ wall: ASKED_AT.wall + ms, mono: ASKED_AT.mono + ms });

describe('the TTL of a verdict', () => {
  const ttl = (result: Verified | Rejected, maxAgeMs = Infinity, random = 0): number | undefined => {
    const verdicts = cache({ random: () => random });
    verdicts.set('f', says(result, maxAgeMs), ASKED_AT, 0);
    return verdicts.get('f')?.ttlMs;
  };

  test('is cacheTtlMs for a verified key, rejectedTtlMs for a refused one', () => {
    expect(ttl(verified())).toBe(1_000);
    expect(ttl(rejected())).toBe(100);
  });

  test('is shortened by a tenth at the most, at random', () => {
    expect(ttl(verified(), Infinity, 0.5)).toBe(950);
    expect(ttl(verified(), Infinity, 1)).toBe(900);
    expect(ttl(rejected(), Infinity, 1)).toBe(90);
  });

  test('is shortened to what the server allows, and never lengthened', () => {
    expect(ttl(verified(), 400)).toBe(400);
    expect(ttl(verified(), 0)).toBe(0);
    expect(ttl(rejected(), 40)).toBe(40);
    expect(ttl(verified(), 5_000)).toBe(1_000);
  });

  test('ends with the key, counted from the moment of asking', () => {
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 300 }))).toBe(300);
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 3_000 }))).toBe(1_000);
    expect(ttl(verified({ expiresAt: ASKED_AT.wall + 300 }), 200)).toBe(200);
  });
});

describe('the verdict cache', () => {
  test('keeps a verdict as a hit serves it, frozen, with the moment of asking', () => {
    const verdicts = cache();
    verdicts.set('f', says(verified()), ASKED_AT, 0);
    const entry = verdicts.get('f');
    expect(entry?.result).toEqual({ ...verified(), source: 'cache' });
    expect(Object.isFrozen(entry?.result)).toBe(true);
    expect(entry?.age(ASKED_AT)).toBe(0);
    expect(verdicts.get('g')).toBeUndefined();
  });

  test('keeps a refusal as it is, without the fields of an identity', () => {
    const verdicts = cache();
    verdicts.set('f', says(rejected()), ASKED_AT, 0);
    expect(verdicts.get('f')?.result).toStrictEqual({ ...rejected(), source: 'cache' });
    expect(Object.isFrozen(verdicts.get('f')?.result)).toBe(true);
  });

  test('keeps nothing that is not to be stored, and forgets what it knew', () => {
    const verdicts = cache();
    verdicts.set('f', says(verified()), ASKED_AT, 0);
    verdicts.set('f', says(verified(), 'no-store'), later(1), 0);
    expect(verdicts.get('f')).toBeUndefined();
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
  });

  test('keeps one verdict a key, also when a verified key is refused or a refused one verified', () => {
    const verdicts = cache();
    verdicts.set('f', says(verified()), ASKED_AT, 0);
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 0 });
    verdicts.set('f', says(rejected()), later(1), 0);
    expect(verdicts.get('f')?.result).toEqual({ ...rejected(), source: 'cache' });
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 1 });
    verdicts.set('f', says(verified()), later(2), 0);
    expect(verdicts.get('f')?.result.valid).toBe(true);
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 0 });
  });

  test('does not let an older answer take the place of a newer one', () => {
    const verdicts = cache();
    verdicts.set('f', says(rejected()), later(5), 0);
    verdicts.set('f', says(verified()), later(4), 0);
    expect(verdicts.get('f')?.result.valid).toBe(false);
    verdicts.set('f', says(verified(), 'no-store'), later(4), 0);
    expect(verdicts.get('f')?.result.valid).toBe(false);
    verdicts.set('f', says(verified()), later(5), 0);
    expect(verdicts.get('f')?.result.valid).toBe(true);
  });

  test.each([
    [5.25, 5.5],
    [5.75, 6.25],
  ])('tells which of two answers is older, asked for at %d ms and at %d ms', (older, newer) => {
    const verdicts = cache();
    verdicts.set('f', says(rejected()), later(newer), 0);
    verdicts.set('f', says(verified()), later(older), 0);
    expect(verdicts.get('f')?.result.valid).toBe(false);
    verdicts.set('f', says(verified()), later(newer + 0.125), 0);
    expect(verdicts.get('f')?.result.valid).toBe(true);
  });

  test('tells the older answer by the monotonic clock: the wall clock may have been set back', () => {
    const verdicts = cache();
    verdicts.set('f', says(verified()), ASKED_AT, 0);
    verdicts.set('f', says(rejected()), { wall: 0, mono: ASKED_AT.mono + 1 }, 0);
    expect(verdicts.get('f')?.result.valid).toBe(false);
  });

  test('is bounded, and lets go of what was not used for the longest time', () => {
    const verdicts = cache();
    for (const fingerprint of ['a', 'b', 'c']) verdicts.set(fingerprint, says(verified()), ASKED_AT, 0);
    use(verdicts, 'a', 500);
    verdicts.set('d', says(verified()), ASKED_AT, 0);
    expect(verdicts.sizes.verified).toBe(3);
    expect(held(verdicts, 'abcd')).toBe('acd');
  });

  test('takes no look for a use, and a use for one no more often than sixteen times in a TTL', () => {
    const verdicts = cache({ cacheTtlMs: 1_600 });
    for (const fingerprint of ['a', 'b', 'c']) verdicts.set(fingerprint, says(verified()), ASKED_AT, 0);
    expect(held(verdicts, 'abc')).toBe('abc');
    use(verdicts, 'a', 99.9);
    use(verdicts, 'b', 100);
    verdicts.set('d', says(verified()), ASKED_AT, 0);
    expect(held(verdicts, 'abcd')).toBe('bcd');
    // Since its place was renewed, and not since the verdict.
    use(verdicts, 'b', 199);
    verdicts.set('e', says(verified()), ASKED_AT, 0);
    expect(held(verdicts, 'bcde')).toBe('bde');
    verdicts.set('f', says(verified()), ASKED_AT, 0);
    expect(held(verdicts, 'bdef')).toBe('def');
  });

  test('counts the use of a refused key among the refused', () => {
    const verdicts = cache();
    for (const fingerprint of ['a', 'b']) verdicts.set(fingerprint, says(rejected()), ASKED_AT, 0);
    use(verdicts, 'a', 50);
    verdicts.set('c', says(rejected()), ASKED_AT, 0);
    expect(held(verdicts, 'abc')).toBe('ac');
  });

  test('does not let refused keys push out verified ones, or the other way round', () => {
    const verdicts = cache();
    verdicts.set('good', says(verified()), ASKED_AT, 0);
    for (let made = 0; made < 10; made++) verdicts.set(`made-up-${made}`, says(rejected()), ASKED_AT, 0);
    expect(verdicts.get('good')?.result.valid).toBe(true);
    expect(verdicts.sizes).toEqual({ verified: 1, rejected: 2 });
    for (let real = 0; real < 10; real++) verdicts.set(`real-${real}`, says(verified()), ASKED_AT, 0);
    expect(verdicts.sizes).toEqual({ verified: 3, rejected: 2 });
  });
});

describe('names of clients and tenants', () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage: unknown = runInNewContext('gc');
  const heap = (): number => {
    if (typeof collectGarbage === 'function') Reflect.apply(collectGarbage, undefined, []);
    return process.memoryUsage().heapUsed;
  };

  test.each(['client', 'tenant'])('are kept once, however many responses bring a copy of the %s', (field) => {
    const [copies, length] = [100, 200_000];
    const verdicts = cache({ maxEntries: copies });
    const before = heap();
    for (let at = 0; at < copies; at++) {
      const name = Buffer.alloc(length, 'acme').toString('latin1');
      verdicts.set(`f-${at}`, says(verified({ [field]: name })), ASKED_AT, 0);
    }
    const grown = heap() - before;
    expect(verdicts.sizes.verified).toBe(copies);
    // Each copy for itself would come to 20 MB.
    expect(grown).toBeLessThan((copies * length) / 4);
  });

  test('are kept as they are, each in its place', () => {
    const verdicts = cache();
    for (const [fingerprint, client, tenant] of [
      ['a', 'x', 'y'],
      ['b', 'y', 'x'],
    ] as const)
      verdicts.set(fingerprint, says(verified({ client, tenant })), ASKED_AT, 0);
    expect(verdicts.get('a')?.result).toMatchObject({ client: 'x', tenant: 'y' });
    expect(verdicts.get('b')?.result).toMatchObject({ client: 'y', tenant: 'x' });
  });
});

describe('invalidation', () => {
  const filled = (): VerdictCache<DefaultClaims> => {
    const verdicts = cache();
    verdicts.set('a', says(verified({ keyId: 'k-1', client: 'acme', tenant: 'cust-A' })), ASKED_AT, 0);
    verdicts.set('b', says(verified({ keyId: 'k-2', client: 'acme', tenant: 'cust-B' })), ASKED_AT, 0);
    verdicts.set('c', says(verified({ keyId: 'k-3', client: 'other', tenant: 'cust-B' })), ASKED_AT, 0);
    verdicts.set('r', says(rejected()), ASKED_AT, 0);
    return verdicts;
  };
  const kept = (verdicts: VerdictCache<DefaultClaims>): string =>
    ['a', 'b', 'c', 'r'].filter((fingerprint) => verdicts.get(fingerprint) !== undefined).join('');

  test.each([
    [{ fingerprint: 'a' }, 1, 'bcr'],
    [{ fingerprint: 'r' }, 1, 'abc'],
    [{ fingerprint: 'x' }, 0, 'abcr'],
    [{ keyId: 'k-2' }, 1, 'acr'],
    [{ client: 'acme' }, 2, 'cr'],
    [{ tenant: 'cust-B' }, 2, 'ar'],
    [{ tenant: 'cust-X' }, 0, 'abcr'],
  ] as const)('by %o forgets %i, says so, and keeps %s', (selector, count, rest) => {
    const verdicts = filled();
    expect(verdicts.invalidate(selector)).toBe(count);
    expect(kept(verdicts)).toBe(rest);
  });

  test('wins over an answer that set out before it, and over no later one', () => {
    const verdicts = cache();
    const since = verdicts.position;
    verdicts.invalidate({ tenant: 'cust-A' });
    verdicts.set('f', says(verified()), ASKED_AT, since);
    expect(verdicts.get('f')).toBeUndefined();
    verdicts.set('f', says(verified()), ASKED_AT, verdicts.position);
    expect(verdicts.get('f')).toBeDefined();
  });

  test('of everything forgets everything, also what is on its way', () => {
    const verdicts = filled();
    const since = verdicts.position;
    verdicts.clear();
    expect(kept(verdicts)).toBe('');
    expect(verdicts.sizes).toEqual({ verified: 0, rejected: 0 });
    verdicts.set('a', says(verified()), ASKED_AT, since);
    expect(kept(verdicts)).toBe('');
  });
});

describe("the runtime's clocks", () => {
  test('are the wall clock, and one that goes on from a moment of its own', () => {
    const [before, start] = [Date.now(), performance.now()];
    expect(systemClock.wall()).toBeGreaterThanOrEqual(before);
    expect(systemClock.wall()).toBeLessThanOrEqual(Date.now());
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(start);
    expect(systemClock.monotonic()).toBeLessThanOrEqual(performance.now());
  });

  test('run what is due, unless it was cancelled', async () => {
    const ran: string[] = [];
    const cancel = systemClock.after(0, () => ran.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      systemClock.after(5, () => {
        ran.push('later');
        resolve();
      });
      systemClock.after(1, () => ran.push('sooner'));
    });
    expect(ran).toEqual(['sooner', 'later']);
  });
});
