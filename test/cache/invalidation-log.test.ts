import { describe, expect, test } from 'vitest';

import { InvalidationLog, selects, type StoredSelector } from '../../src/cache/invalidation-log.js';
import { rejected, verified } from '../helpers/verdicts.js';

const VERDICT = verified({ client: 'acme', tenant: 'cust-A', keyId: 'k-1' });
const REMEMBERED = 1024;

describe('a selector', () => {
  test.each<[StoredSelector, StoredSelector]>([
    [{ fingerprint: 'f' }, { fingerprint: 'g' }],
    [{ keyId: 'k-1' }, { keyId: 'acme' }],
    [{ client: 'acme' }, { client: 'cust-A' }],
    [{ tenant: 'cust-A' }, { tenant: 'acme' }],
  ])('such as %o selects what it names, and %o does not', (right, wrong) => {
    expect(selects(right, 'f', VERDICT)).toBe(true);
    expect(selects(wrong, 'f', VERDICT)).toBe(false);
  });

  test('by anything but the fingerprint selects no refusal: there is no identity in it', () => {
    expect(selects({ fingerprint: 'f' }, 'f', rejected())).toBe(true);
    for (const selector of [{ keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])
      expect(selects(selector, 'f', rejected())).toBe(false);
  });

  test('by key id selects no verdict that has none', () => {
    expect(selects({ keyId: 'k-1' }, 'f', verified())).toBe(false);
  });
});

describe('an answer', () => {
  test('is overtaken by an invalidation of its key after it set out, not by one before', () => {
    const generations = new InvalidationLog();
    const before = generations.position;
    generations.invalidate({ fingerprint: 'f' });
    expect(generations.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(generations.invalidatedSince(generations.position, 'f', VERDICT)).toBe(false);
    expect(generations.invalidatedSince(before, 'g', VERDICT)).toBe(false);
  });

  test('is overtaken by any one of several invalidations', () => {
    const generations = new InvalidationLog();
    generations.invalidate({ tenant: 'cust-A' });
    generations.invalidate({ tenant: 'cust-B' });
    generations.invalidate({ tenant: 'cust-C' });
    const tenant = (name: string) => verified({ tenant: name });
    expect(
      ['cust-A', 'cust-B', 'cust-C', 'cust-D'].map((name) => generations.invalidatedSince(0, 'f', tenant(name))),
    ).toEqual([true, true, true, false]);
    expect(generations.invalidatedSince(1, 'f', tenant('cust-A'))).toBe(false);
    expect(generations.invalidatedSince(1, 'f', tenant('cust-B'))).toBe(true);
  });

  test('is overtaken by clear, whatever its key, unless it set out afterwards', () => {
    const generations = new InvalidationLog();
    const before = generations.position;
    generations.clear();
    expect(generations.position).toBe(before + 1);
    expect(generations.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(generations.invalidatedSince(generations.position, 'f', VERDICT)).toBe(false);
  });
});

describe('the log of invalidations', () => {
  const others = (generations: InvalidationLog, count: number): void => {
    for (let at = 0; at < count; at++) generations.invalidate({ fingerprint: `other-${at}` });
  };

  test('remembers 1 024 of them exactly', () => {
    const generations = new InvalidationLog();
    others(generations, REMEMBERED);
    expect(generations.invalidatedSince(0, 'f', VERDICT)).toBe(false);
    expect(generations.invalidatedSince(0, 'other-0', VERDICT)).toBe(true);
  });

  test('counts every answer that set out before its beginning as overtaken, and no later one', () => {
    const generations = new InvalidationLog();
    others(generations, REMEMBERED + 1);
    expect(generations.invalidatedSince(0, 'f', VERDICT)).toBe(true);
    expect(generations.invalidatedSince(1, 'f', VERDICT)).toBe(false);
    expect(generations.invalidatedSince(1, 'other-1', VERDICT)).toBe(true);
    others(generations, 1);
    expect(generations.invalidatedSince(1, 'f', VERDICT)).toBe(true);
    expect(generations.invalidatedSince(2, 'f', VERDICT)).toBe(false);
  });

  test('begins anew with clear, and what clear overtook stays overtaken', () => {
    const generations = new InvalidationLog();
    others(generations, REMEMBERED);
    const before = generations.position;
    generations.clear();
    const after = generations.position;
    others(generations, REMEMBERED);
    expect(generations.invalidatedSince(before, 'f', VERDICT)).toBe(true);
    expect(generations.invalidatedSince(after, 'f', VERDICT)).toBe(false);
  });
});
