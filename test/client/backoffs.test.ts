import { describe, expect, test } from 'vitest';

import { Backoffs } from '../../src/client/backoffs.js';
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
  failures.forEach((failure, i) => backoffs.begin('of a key', failing, failure, 1000 * (i + 1), 0.5, false));
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
  backoffs.begin('of a key', invalidated, fails('timeout', 'proven'), 1000, 0, false);
  invalidated.forget();
  backoffs.begin('of another', other, fails('timeout', 'proven'), 1100, 0, false);
  expect([invalidated, other].map((failed) => failed.backoffFailure(1100)?.kind)).toEqual([undefined, 'timeout']);
});

test('a key is failing since the first failure in a row', () => {
  const backoffs = new Backoffs<unknown>();
  const failing = entry();
  for (const mono of [1000, 2000, 3000]) backoffs.begin('of a key', failing, fails('timeout'), mono, 0, false);
  expect(failing.failingMs(3500)).toBe(2500);
});

describe('a key that the server limits, or on which it hangs', () => {
  const LIMITED = new VerifyFailure('rate_limited', 'failed', { attempts: 1 });
  const HUNG = new VerifyFailure('timeout', 'failed', { attempts: 1, evidence: 'none' });
  const limit = (backoffs: Backoffs<unknown>, mono: number, failure = LIMITED): void =>
    backoffs.begin('of a key', undefined, failure, mono, 0, false);

  test.each([LIMITED, HUNG])('is left alone twice as long each time, up to 30 s: $kind', (failure) => {
    const backoffs = new Backoffs<unknown>();
    let mono = 0;
    const waits = Array.from({ length: 9 }, () => {
      limit(backoffs, mono, failure);
      const limitedAt = mono;
      while (backoffs.isLimited('of a key', mono)) mono += 50;
      return mono - limitedAt;
    });
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(backoffs.isLimited('of another', 0)).toBe(false);
  });

  test('is left alone whether it was good before or not, until it is answered', () => {
    const backoffs = new Backoffs<unknown>();
    backoffs.begin('of a key', entry(), LIMITED, 0, 0, false);
    expect(backoffs.isLimited('of a key', 249)).toBe(true);
    backoffs.end('of a key');
    expect(backoffs.isLimited('of a key', 249)).toBe(false);
  });

  test('is not, if it was not asked about, or failed in another way', () => {
    const backoffs = new Backoffs<unknown>();
    limit(backoffs, 0, fails('rate_limited'));
    limit(backoffs, 0, new VerifyFailure('timeout', 'failed', { attempts: 1, evidence: 'proven' }));
    limit(backoffs, 0, new VerifyFailure('server_error', 'failed', { attempts: 1, evidence: 'none' }));
    expect(backoffs.isLimited('of a key', 0)).toBe(false);
  });

  test.each(['server_error', 'unreachable', 'timeout', 'misconfigured'] as const)(
    'that was good is left alone after any failure while the breaker is open, and only then: %s',
    (kind) => {
      const failure = new VerifyFailure(kind, 'failed', { attempts: 1, evidence: 'proven' });
      const waits = (known: Entry<unknown> | undefined, isOpen: boolean): boolean[] => {
        const backoffs = new Backoffs<unknown>();
        backoffs.begin('of a key', known, failure, 0, 0, isOpen);
        return [599, 600].map((mono) => backoffs.isLimited('of a key', mono));
      };
      expect(waits(entry(), true)).toEqual([true, false]);
      expect(waits(entry(), false)).toEqual([false, false]);
      expect(waits(undefined, true)).toEqual([false, false]);
    },
  );

  test('that was good is left alone for a turn of each such key where nobody was answered: any may show that an outage is over', () => {
    const failed = (evidence: Evidence) => new VerifyFailure('server_error', 'failed', { attempts: 1, evidence });
    const waits = (keys: number, evidence: Evidence): number => {
      const backoffs = new Backoffs<unknown>();
      for (let key = 1; key < keys; key++) backoffs.begin(`of key ${key}`, entry(), failed('proven'), 0, 0, true);
      for (let times = 0; times < 3; times++) backoffs.begin('of a key', entry(), failed(evidence), 0, 0, true);
      let mono = 0;
      while (backoffs.isLimited('of a key', mono)) mono += 50;
      return mono;
    };
    expect([waits(1, 'proven'), waits(1, 'unproven'), waits(10, 'proven'), waits(100, 'proven')]).toEqual([
      1_200, 1_200, 6_600, 30_000,
    ]);
    // The longer, the more often it has failed by itself.
    expect([waits(1, 'none'), waits(10, 'none')]).toEqual([1_000, 1_000]);
  });

  test('yields to others from then on, until it is answered', () => {
    const backoffs = new Backoffs<unknown>();
    limit(backoffs, 0);
    expect(['of a key', 'of another'].map((key) => backoffs.yields(key))).toEqual([true, false]);
    backoffs.end('of a key');
    expect(backoffs.yields('of a key')).toBe(false);
  });

  test('is forgotten before there are more than 1 000', () => {
    const backoffs = new Backoffs<unknown>();
    limit(backoffs, 0);
    for (let key = 1; key < 1_000; key++) backoffs.begin(`of key ${key}`, undefined, LIMITED, 0, 0, false);
    expect(backoffs.isLimited('of a key', 0)).toBe(true);
    backoffs.begin('of one more', undefined, LIMITED, 0, 0, false);
    expect(['of a key', 'of one more'].map((key) => backoffs.isLimited(key, 0))).toEqual([false, true]);
  });
});
