import { describe, expect, test } from 'vitest';

import { InvalidationLog, selects } from '../../src/cache/invalidation-log.js';
import type { StoredSelector } from '../../src/core/selector.js';
import { rejected, verified } from '../helpers/verdicts.js';

const VERDICT = verified({ client: 'acme', tenant: 'cust-A', keyId: 'k-1' });
const MAX_LOGGED = 1024;

describe('a selector', () => {
  test.each<[StoredSelector, StoredSelector]>([
    [{ fingerprint: 'f' }, { fingerprint: 'g' }],
    [{ keyId: 'k-1' }, { keyId: 'acme' }],
    [{ client: 'acme' }, { client: 'cust-A' }],
    [{ tenant: 'cust-A' }, { tenant: 'acme' }],
  ])('%o selects what it names, %o does not', (right, wrong) => {
    expect(selects(right, 'f', VERDICT)).toBe(true);
    expect(selects(wrong, 'f', VERDICT)).toBe(false);
  });

  test('by anything but the fingerprint selects no refusal, which has no identity', () => {
    expect(selects({ fingerprint: 'f' }, 'f', rejected())).toBe(true);
    for (const selector of [{ keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])
      expect(selects(selector, 'f', rejected())).toBe(false);
  });

  test('by key id selects no verdict without one', () => {
    expect(selects({ keyId: 'k-1' }, 'f', verified())).toBe(false);
  });
});

describe('an answer', () => {
  test('is invalidated by a selector that was logged after it was asked for, not by an earlier one', () => {
    const log = new InvalidationLog();
    const before = log.position;
    log.add({ fingerprint: 'f' });
    expect(log.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(log.position, 'f', VERDICT)).toBe(false);
    expect(log.invalidatedSince(before, 'g', VERDICT)).toBe(false);
  });

  test('is invalidated by any one of several selectors', () => {
    const log = new InvalidationLog();
    for (const tenant of ['cust-A', 'cust-B', 'cust-C']) log.add({ tenant });
    const of = (tenant: string) => verified({ tenant });
    expect(['cust-A', 'cust-B', 'cust-C', 'cust-D'].map((tenant) => log.invalidatedSince(0, 'f', of(tenant)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(log.invalidatedSince(1, 'f', of('cust-A'))).toBe(false);
    expect(log.invalidatedSince(1, 'f', of('cust-B'))).toBe(true);
  });

  test('is invalidated by addAll, whatever its key, unless it was asked for afterwards', () => {
    const log = new InvalidationLog();
    const before = log.position;
    log.addAll();
    expect(log.position).toBe(before + 1);
    expect(log.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(log.position, 'f', VERDICT)).toBe(false);
  });
});

describe('the bound of the log', () => {
  const addOthers = (log: InvalidationLog, count: number): void => {
    for (let at = 0; at < count; at++) log.add({ fingerprint: `other-${at}` });
  };

  test('is 1 024 selectors exactly', () => {
    const log = new InvalidationLog();
    addOthers(log, MAX_LOGGED);
    expect(log.invalidatedSince(0, 'f', VERDICT)).toBe(false);
    expect(log.invalidatedSince(0, 'other-0', VERDICT)).toBe(true);
  });

  test('invalidates every answer that was asked for before the first entry, and no later one', () => {
    const log = new InvalidationLog();
    addOthers(log, MAX_LOGGED + 1);
    expect(log.invalidatedSince(0, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(1, 'f', VERDICT)).toBe(false);
    expect(log.invalidatedSince(1, 'other-1', VERDICT)).toBe(true);
    addOthers(log, 1);
    expect(log.invalidatedSince(1, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(2, 'f', VERDICT)).toBe(false);
  });

  test('counts anew after addAll, and what addAll invalidated stays invalidated', () => {
    const log = new InvalidationLog();
    addOthers(log, MAX_LOGGED);
    const before = log.position;
    log.addAll();
    const after = log.position;
    addOthers(log, MAX_LOGGED);
    expect(log.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(after, 'f', VERDICT)).toBe(false);
  });
});
