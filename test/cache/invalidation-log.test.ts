import { describe, expect, test } from 'vitest';

import { InvalidationLog, selects } from '../../src/cache/invalidation-log.js';
import type { StoredSelector } from '../../src/core/selector.js';
import { rejected, verified } from '../helpers/verdicts.js';

const VERDICT = verified({ client: 'acme', tenant: 'cust-A', keyId: 'k-1' });
const MAX_SELECTORS = 16_384;
const SELECTORS: readonly [StoredSelector, StoredSelector][] = [
  [{ fingerprint: 'f' }, { fingerprint: 'g' }],
  [{ keyId: 'k-1' }, { keyId: 'acme' }],
  [{ client: 'acme' }, { client: 'cust-A' }],
  [{ tenant: 'cust-A' }, { tenant: 'acme' }],
];

describe('a selector', () => {
  test.each(SELECTORS)('%o selects what it names, %o does not', (right, wrong) => {
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

describe('an answer to this process', () => {
  test.each(SELECTORS)('is invalidated by %o if it was asked for before, not by %o', (right, wrong) => {
    for (const [selector, expected] of [
      [right, true],
      [wrong, false],
    ] as const) {
      const log = new InvalidationLog();
      expect(log.add(selector, { position: 3, mono: 0 })).toBe(true);
      expect(log.invalidatedSince(2, 'f', VERDICT)).toBe(expected);
      expect(log.invalidatedSince(3, 'f', VERDICT)).toBe(false);
      expect(log.invalidatedSince(2, 'g', rejected())).toBe(selector === wrong && 'fingerprint' in wrong);
    }
  });

  test('without a key id is not selected by one', () => {
    const log = new InvalidationLog();
    log.add({ keyId: 'k-1' }, { position: 3, mono: 0 });
    expect(log.invalidatedSince(0, 'f', verified())).toBe(false);
  });

  test('is invalidated by "all", unless it was asked for afterwards', () => {
    const log = new InvalidationLog();
    log.add('all', { position: 3, mono: 0 });
    expect(log.invalidatedSince(2, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(2, 'f', rejected())).toBe(true);
    expect(log.invalidatedSince(3, 'f', VERDICT)).toBe(false);
  });

  test('is invalidated by the latest of several', () => {
    const log = new InvalidationLog();
    for (const position of [5, 3]) log.add({ tenant: 'cust-A' }, { position, mono: 0 });
    expect(log.invalidatedSince(4, 'f', VERDICT)).toBe(true);
  });
});

describe('an answer to another process', () => {
  const asked = (mono: number, stood: Readonly<Record<string, string>> = {}, gaps = 0) => ({
    mono,
    positions: Object.fromEntries(Object.entries(stood).map(([source, position]) => [source, { position, gaps }])),
  });

  test('is invalidated by this process if it may have been asked for before', () => {
    const log = new InvalidationLog();
    log.add({ tenant: 'cust-A' }, { position: 1, mono: 100 });
    expect(log.invalidatedSince(asked(100, { s: '9-9' }), 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(asked(101), 'f', VERDICT)).toBe(false);
  });

  test('is invalidated by a stream if that process had not read so far', () => {
    const log = new InvalidationLog();
    const stream = { source: 's', position: '1-10-2', gaps: 0 };
    log.add({ tenant: 'cust-A' }, { position: 1, mono: 100, stream });
    const invalidated = (position: string) => log.invalidatedSince(asked(500, { s: position }), 'f', VERDICT);
    expect(['1-9-9', '1-10-1', '1-10-2', '1-10-3', '1-11-0', 'rubbish'].map(invalidated)).toEqual([
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  test('is judged by the time if that process follows no such stream', () => {
    const log = new InvalidationLog();
    log.add({ tenant: 'cust-A' }, { position: 1, mono: 100, stream: { source: 's', position: '1-10-2', gaps: 0 } });
    expect(log.invalidatedSince(asked(100, { other: '99-0' }), 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(asked(101), 'f', VERDICT)).toBe(false);
  });

  test('is judged by each stream by itself', () => {
    const log = new InvalidationLog();
    for (const [source, position] of [
      ['s', '10-0'],
      ['t', '20-0'],
    ] as const)
      log.add({ tenant: 'cust-A' }, { position: 1, mono: 100, stream: { source, position, gaps: 0 } });
    expect(log.invalidatedSince(asked(500, { s: '10-0', t: '19-0' }), 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(asked(500, { s: '10-0', t: '20-0' }), 'f', VERDICT)).toBe(false);
  });
});

test('a stream may deliver twice, and late: that is nothing new', () => {
  const log = new InvalidationLog();
  const add = (position: string): boolean =>
    log.add({ keyId: 'k' }, { position: 1, mono: 0, stream: { source: 's', position, gaps: 0 } });
  expect(['1-10-1', '1-10-1', '1-10-0', '1-9-5', '1-10-2'].map(add)).toEqual([true, false, false, false, true]);
});

test('after a gap, positions say nothing of what came before: the time does', () => {
  const log = new InvalidationLog();
  const add = (position: string, gaps: number, mono: number): boolean =>
    log.add({ tenant: 'cust-A' }, { position: 1, mono, stream: { source: 's', position, gaps } });
  const invalidated = (position: string, gaps: number, mono: number): boolean =>
    log.invalidatedSince({ mono, positions: { s: { position, gaps } } }, 'f', VERDICT);
  expect(add('1-99', 0, 10)).toBe(true);
  expect([invalidated('1-5', 1, 10), invalidated('1-5', 1, 11)]).toEqual([true, false]);
  expect(add('1-5', 1, 20)).toBe(true);
  expect([invalidated('1-4', 1, 30), invalidated('1-5', 1, 15)]).toEqual([true, false]);
  expect([invalidated('1-99', 0, 20), invalidated('1-99', 0, 21)]).toEqual([true, false]);
});

describe('the bound', () => {
  const addOthers = (log: InvalidationLog, count: number, from = 0): void => {
    for (let at = from; at < from + count; at++) {
      const stream = { source: 's', position: `1-${at + 1}`, gaps: 0 };
      log.add({ fingerprint: `other-${at}` }, { position: at + 1, mono: at, stream });
    }
  };

  test('is 16 384 selectors exactly', () => {
    const log = new InvalidationLog();
    addOthers(log, MAX_SELECTORS);
    expect(log.invalidatedSince(0, 'f', VERDICT)).toBe(false);
    expect(log.invalidatedSince(0, 'other-0', VERDICT)).toBe(true);
  });

  test('invalidates every answer that was asked for before what was dropped, and no later one', () => {
    const log = new InvalidationLog();
    log.add({ tenant: 'cust-X' }, { position: 1, mono: 7 });
    addOthers(log, MAX_SELECTORS + 1, 1);
    expect(log.invalidatedSince(1, 'f', VERDICT)).toBe(true);
    expect(log.invalidatedSince(2, 'f', VERDICT)).toBe(false);
    const shared = (mono: number, position: string) =>
      log.invalidatedSince({ mono, positions: { s: { position, gaps: 0 } } }, 'f', VERDICT);
    expect(shared(7, '1-2')).toBe(true);
    expect(shared(8, '1-2')).toBe(false);
    expect(shared(8, '1-1')).toBe(true);
  });

  test('keeps the last of what was dropped, by positions between two gaps and by the gaps else', () => {
    const log = new InvalidationLog();
    const late = { position: 1, mono: 5, stream: { source: 's', position: '1-9', gaps: 1 } };
    log.add({ tenant: 'cust-X' }, late);
    log.add({ tenant: 'cust-X' }, { ...late, mono: 6, stream: { source: 't', position: '1-1', gaps: 0 } });
    // Raised later, but for something that was published earlier, before another gap, or in the same stream.
    for (const [i, [position, gaps]] of (
      [
        ['1-20', 0],
        ['1-3', 1],
        ['1-4', 1],
      ] as const
    ).entries())
      log.add({ tenant: `cust-${i}` }, { position: 2 + i, mono: 7 + i, stream: { source: 's', position, gaps } });
    addOthers(log, MAX_SELECTORS, 100);
    const shared = (position: string, gaps: number, mono = 8) =>
      log.invalidatedSince({ mono, positions: { s: { position, gaps } } }, 'f', VERDICT);
    expect([shared('1-8', 1), shared('1-9', 1), shared('1-9', 1, 6)]).toEqual([true, false, true]);
    expect([shared('1-99', 0, 5), shared('1-99', 0, 7)]).toEqual([true, false]);
  });

  test.each([
    ['a later position', '1-9', 0],
    ['a later gap', '1-1', 1],
  ])('takes %s from what is dropped later', (_what, position, gaps) => {
    const log = new InvalidationLog();
    log.add({ tenant: 'cust-X' }, { position: 1, mono: 5, stream: { source: 's', position: '1-5', gaps: 0 } });
    log.add({ tenant: 'cust-Y' }, { position: 2, mono: 6, stream: { source: 's', position, gaps } });
    for (let at = 0; at < MAX_SELECTORS; at++) log.add({ fingerprint: `other-${at}` }, { position: 3 + at, mono: -1 });
    const shared = (position: string) =>
      log.invalidatedSince({ mono: 7, positions: { s: { position, gaps } } }, 'f', VERDICT);
    expect([shared(gaps === 0 ? '1-8' : '1-0'), shared(position)]).toEqual([true, false]);
  });
});
