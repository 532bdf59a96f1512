import { describe, expect, test } from 'vitest';

import { Backoffs, type Asking } from '../../src/client/backoffs.js';
import { Entry } from '../../src/cache/entry.js';
import { VerifyFailure, type Evidence, type FailureKind } from '../../src/core/failure.js';
import { rejected } from '../../src/core/result.js';

const entry = () =>
  new Entry(rejected('cache', 'revoked'), { wall: 0, mono: 0 }, { ttlMs: 100, refreshAtAge: 100, noStale: false });
const fails = (kind: FailureKind, evidence: Evidence = 'none') => new VerifyFailure(kind, 'failed', { evidence });

/** Fails once after the other, a second apart; returns how long the key is left alone after the last one. */
function backoffAfter(...failures: readonly VerifyFailure[]): number {
  const backoffs = new Backoffs<unknown>();
  const failing = entry();
  const mono = 1000 * failures.length;
  failures.forEach((failure, i) => backoffs.begin('of a key', failing, failure, 1000 * (i + 1), 0.5));
  let ms = 0;
  while (failing.backoffFailure(mono + ms) !== undefined) ms++;
  return ms;
}

describe('a key whose question failed is left alone', () => {
  test.each([
    'unreachable',
    'server_error',
    'rate_limited',
    'overloaded',
    'misconfigured',
    'invalid_response',
  ] as const)('after the first %s', (kind) => {
    expect(backoffAfter(fails(kind))).toBe(750);
  });

  test.each(['proven', 'unproven'] as const)('after a timeout in an outage, %s', (evidence) => {
    expect(backoffAfter(fails('timeout', evidence))).toBe(750);
  });

  test('but not after a first timeout while others were answered: it may have hung in an outage that is over', () => {
    expect(backoffAfter(fails('timeout'))).toBe(0);
    expect(backoffAfter(fails('timeout', 'proven'), fails('timeout'))).toBe(0);
    expect(backoffAfter(fails('server_error'), fails('timeout'))).toBe(0);
  });

  test('after the second', () => {
    expect(backoffAfter(fails('timeout'), fails('timeout'))).toBe(750);
  });
});

test('a key that was invalidated meanwhile is no longer left alone', () => {
  const backoffs = new Backoffs<unknown>();
  const [invalidated, other] = [entry(), entry()];
  backoffs.begin('of a key', invalidated, fails('timeout', 'proven'), 1000, 0);
  invalidated.forget();
  backoffs.begin('of another', other, fails('timeout', 'proven'), 1100, 0);
  expect([invalidated, other].map((failed) => failed.backoffFailure(1100)?.kind)).toEqual([undefined, 'timeout']);
});

test('a key is failing since the first failure in a row', () => {
  const backoffs = new Backoffs<unknown>();
  const failing = entry();
  for (const mono of [1000, 2000, 3000]) backoffs.begin('of a key', failing, fails('timeout'), mono, 0);
  expect(failing.failingMs(3500)).toBe(2500);
});

describe('during a pause', () => {
  const failed = (kind: FailureKind, evidence: Evidence = 'none') =>
    new VerifyFailure(kind, 'failed', { attempts: 1, evidence });
  const known = (key: string) => ({ fingerprint: `of ${key}`, key, isKnown: true });
  const unknown = (key: string) => ({ ...known(key), isKnown: false });
  const free = (): boolean => true;
  const taken = (): boolean => false;
  const next = (backoffs: Backoffs<unknown>, asking: Asking, mono: number, tryTake = free): string | undefined =>
    backoffs.next(asking, mono, tryTake)?.key;
  const fail = (backoffs: Backoffs<unknown>, key: string, mono: number): void =>
    backoffs.begin(`of ${key}`, entry(), failed('server_error', 'proven'), mono, 0);

  test('a key is asked about if a question is allowed and no other key waits', () => {
    const backoffs = new Backoffs<unknown>();
    expect(next(backoffs, known('a'), 0, taken)).toBeUndefined();
    expect(next(backoffs, known('a'), 0)).toBe('a');
    expect(next(backoffs, unknown('b'), 0, taken)).toBeUndefined();
    expect(next(backoffs, unknown('b'), 0)).toBe('b');
  });

  const waits = (asking: Asking, failure: VerifyFailure) =>
    [0, 0.5, 1].map((random) => {
      const backoffs = new Backoffs<unknown>();
      backoffs.begin('of a', asking.isKnown ? entry() : undefined, failure, 0, random);
      let mono = 0;
      while (next(backoffs, asking, mono) === undefined) mono++;
      return mono;
    });

  test.each(['rate_limited', 'timeout'] as const)('a key that failed alone waits: %s', (kind) => {
    expect(waits(known('a'), failed(kind))).toEqual([1_000, 750, 500]);
    expect(waits(unknown('a'), failed(kind))).toEqual([1_000, 750, 500]);
  });

  test.each(['rate_limited', 'timeout'] as const)(
    'a known one five times as long from the second time on: %s',
    (kind) => {
      const backoffs = new Backoffs<unknown>();
      const failing = entry();
      for (const mono of [0, 2_000]) backoffs.begin('of a', failing, failed(kind), mono, 0);
      expect([6_999, 7_000].map((mono) => next(backoffs, known('a'), mono))).toEqual([undefined, 'a']);
    },
  );

  test.each(['server_error', 'unreachable', 'misconfigured', 'invalid_response'] as const)(
    'but not one that met a bad backend, as it seems: %s',
    (kind) => {
      expect(waits(known('a'), failed(kind))).toEqual([0, 0, 0]);
      expect(waits(unknown('a'), failed(kind))).toEqual([0, 0, 0]);
    },
  );

  test.each(['proven', 'unproven'] as const)('in an outage only a known one does: %s', (evidence) => {
    expect(waits(known('a'), failed('server_error', evidence))).toEqual([1_000, 750, 500]);
    expect(waits(unknown('a'), failed('server_error', evidence))).toEqual([0, 0, 0]);
  });

  test('no key that was not asked about, or was answered since', () => {
    const backoffs = new Backoffs<unknown>();
    backoffs.begin('of a', entry(), fails('rate_limited'), 0, 0);
    expect(next(backoffs, known('a'), 1)).toBe('a');
    fail(backoffs, 'a', 2);
    expect(next(backoffs, known('a'), 3)).toBeUndefined();
    backoffs.end('of a');
    expect(next(backoffs, known('a'), 4)).toBe('a');
  });

  test('the known key that failed longest ago goes first, whoever asks', () => {
    const backoffs = new Backoffs<unknown>();
    for (const [at, key] of ['a', 'b', 'c'].entries()) fail(backoffs, key, at);
    for (const key of ['c', 'a', 'b']) next(backoffs, known(key), 2_000, taken);
    const order = Array.from({ length: 3 }, () => {
      const key = next(backoffs, known('c'), 2_000) ?? '';
      fail(backoffs, key, 2_000);
      return key;
    });
    expect(order).toEqual(['a', 'b', 'c']);
  });

  test('one that did not fail goes before all that did', () => {
    const backoffs = new Backoffs<unknown>();
    for (const key of ['a', 'b']) fail(backoffs, key, 0);
    for (const key of ['a', 'new', 'b']) next(backoffs, known(key), 2_000, taken);
    expect(next(backoffs, known('b'), 2_000)).toBe('new');
    expect(next(backoffs, known('newer'), 2_000)).toBe('newer');
  });

  test('new keys neither wait for known ones nor make them wait', () => {
    const backoffs = new Backoffs<unknown>();
    fail(backoffs, 'b', 0);
    next(backoffs, unknown('new'), 2_000, taken);
    next(backoffs, known('a'), 2_000, taken);
    expect(next(backoffs, unknown('newer'), 2_000)).toBe('newer');
    expect(next(backoffs, known('b'), 2_000)).toBe('a');
    expect(next(backoffs, known('b'), 2_000)).toBe('b');
  });

  test('a key that failed yields to others, until it is answered', () => {
    const backoffs = new Backoffs<unknown>();
    const yields = (key: string): boolean[] => {
      const told: boolean[] = [];
      backoffs.next(known(key), 2_000, (yields) => told.push(yields) > 0);
      return told;
    };
    fail(backoffs, 'a', 0);
    expect(['a', 'new'].map(yields)).toEqual([[true], [false]]);
    backoffs.end('of a');
    expect(yields('a')).toEqual([false]);
  });

  test('once anybody is answered, nobody waits', () => {
    const backoffs = new Backoffs<unknown>();
    next(backoffs, known('a'), 0, taken);
    backoffs.end('of another');
    fail(backoffs, 'b', 0);
    expect(next(backoffs, known('b'), 2_000)).toBe('b');
  });

  test.each([
    [999, undefined],
    [1_000, 'a'],
  ])('a key that failed is remembered until %i others have', (others, expected) => {
    const backoffs = new Backoffs<unknown>();
    fail(backoffs, 'a', 0);
    for (let other = 0; other < others; other++) fail(backoffs, `b${other}`, 0);
    expect(next(backoffs, known('a'), 1)).toBe(expected);
  });

  test('no more than a thousand wait', () => {
    const backoffs = new Backoffs<unknown>();
    fail(backoffs, 'last', 0);
    for (let key = 0; key < 2_000; key++) next(backoffs, known(`a${key}`), 2_000, taken);
    let turns = 1;
    while (next(backoffs, known('last'), 2_000) !== 'last') turns++;
    expect(turns).toBe(1_000);
  });
});
