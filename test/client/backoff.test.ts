import { describe, expect, test } from 'vitest';

import { Entry, type Backoff } from '../../src/cache/entry.js';
import { backOff } from '../../src/client/backoff.js';
import { VerifyFailure, type Evidence, type FailureKind } from '../../src/core/failure.js';
import { rejected } from '../../src/core/result.js';

const entry = () =>
  new Entry(rejected('cache', 'revoked'), { wall: 0, mono: 0 }, { ttlMs: 100, refreshAtAge: 100, noStale: false });
const fails = (kind: FailureKind, evidence: Evidence = 'none') =>
  new VerifyFailure(kind, 'failed', { attempts: 1, evidence });

/** Fails once after the other, half a second apart. */
function failing(...failures: readonly VerifyFailure[]) {
  const failed = entry();
  const latest = new Map<string, Backoff>();
  failures.forEach((failure, i) => backOff('of a key', failed, failure, latest, 500 * (i + 1)));
  return failed;
}

/** For how long the key isn't asked about after the last failure. */
function backoffAfter(...failures: readonly VerifyFailure[]): number {
  const failed = failing(...failures);
  const mono = 500 * failures.length;
  let ms = 0;
  while (failed.backoffFailure(mono + ms) !== undefined) ms++;
  return ms;
}

describe('a key whose question failed is left alone', () => {
  test.each(['unreachable', 'server_error', 'overloaded', 'misconfigured', 'invalid_response'] as const)(
    'after the first %s',
    (kind) => {
      expect(backoffAfter(fails(kind))).toBe(500);
    },
  );

  test.each(['proven', 'unproven'] as const)('after a timeout in an outage, %s', (evidence) => {
    expect(backoffAfter(fails('timeout', evidence))).toBe(500);
  });

  describe.each(['timeout', 'rate_limited'] as const)('while others were answered: %s', (kind) => {
    test('not after the first: it may be due to an outage that is over, or to a limit for all', () => {
      expect(backoffAfter(fails(kind))).toBe(0);
      expect(backoffAfter(fails('timeout', 'proven'), fails(kind))).toBe(0);
      expect(backoffAfter(fails('server_error'), fails(kind))).toBe(0);
    });

    test('after the second', () => {
      expect(backoffAfter(fails(kind), fails('timeout'))).toBe(500);
      expect(backoffAfter(fails(kind), fails('rate_limited'))).toBe(500);
    });

    test('counts how often that was so in a row', () => {
      expect(failing(fails(kind), fails(kind), fails(kind)).backoff?.alone).toBe(3);
      expect(failing(fails(kind), fails('server_error'), fails(kind)).backoff?.alone).toBe(1);
      expect(failing(fails(kind, 'proven')).backoff?.alone).toBe(0);
    });
  });
});

test('a key that was invalidated meanwhile is no longer left alone', () => {
  const latest = new Map<string, Backoff>();
  const [invalidated, other] = [entry(), entry()];
  backOff('of invalidated', invalidated, fails('timeout', 'proven'), latest, 500);
  invalidated.forget();
  backOff('of other', other, fails('timeout', 'proven'), latest, 1100);
  expect([invalidated, other].map((failed) => failed.backoffFailure(1100)?.kind)).toEqual([undefined, 'timeout']);
});

test('a failure is forgotten once it counts no longer', () => {
  const latest = new Map<string, Backoff>();
  const [first, second, third] = [entry(), entry(), entry()];
  backOff('of first', first, fails('timeout', 'proven'), latest, 0);
  backOff('of second', second, fails('timeout', 'proven'), latest, 1);
  backOff('of third', third, fails('timeout', 'proven'), latest, 500);
  expect([first, second, third].map((failed) => failed.backoff?.failure?.kind)).toEqual([
    undefined,
    'timeout',
    'timeout',
  ]);
  expect(latest.size).toBe(2);
});

test('a key that goes on failing does not keep the failures of others', () => {
  const latest = new Map<string, Backoff>();
  const [again, other] = [entry(), entry()];
  backOff('of again', again, fails('timeout', 'proven'), latest, 0);
  backOff('of other', other, fails('timeout', 'proven'), latest, 100);
  backOff('of again', again, fails('timeout', 'proven'), latest, 499);
  backOff('of a third', entry(), fails('timeout', 'proven'), latest, 600);
  expect([again, other].map((failed) => failed.backoff?.failure?.kind)).toEqual(['timeout', undefined]);
});

test('many failures at once are not looked at again and again', () => {
  const latest = new Map<string, Backoff>();
  let looks = 0;
  const entries = latest[Symbol.iterator].bind(latest);
  latest[Symbol.iterator] = function* () {
    for (const each of entries()) {
      looks++;
      yield each;
    }
    return undefined;
  };
  for (let key = 0; key < 1_000; key++) backOff(`of ${key}`, undefined, fails('server_error'), latest, 0);
  expect(looks).toBeLessThan(1_000);
});

test('a key is failing since the first failure in a row', () => {
  expect(failing(fails('timeout'), fails('timeout'), fails('timeout')).failingMs(3000)).toBe(2500);
});

describe('a new key', () => {
  const failed = (...monos: readonly number[]) => {
    const latest = new Map<string, Backoff>();
    for (const mono of monos) backOff('of a key', undefined, fails('rate_limited'), latest, mono);
    return latest.get('of a key');
  };

  test('is left alone from the first time on', () => {
    expect(failed(0)).toMatchObject({ until: 500, alone: 1 });
    expect(failed(0, 499)).toMatchObject({ until: 999, alone: 2, since: 0 });
  });

  test('is forgotten after that, when another failure comes', () => {
    expect(failed(0, 500)).toMatchObject({ until: 1_000, alone: 1, since: 500 });
  });
});

test('a key that was answered since it failed fails for the first time', () => {
  const latest = new Map<string, Backoff>();
  backOff('of a key', entry(), fails('rate_limited'), latest, 0);
  const answered = entry();
  backOff('of a key', answered, fails('rate_limited'), latest, 0);
  expect(answered.backoff?.alone).toBe(1);
});

test('a question that was refused at once says nothing about the key, but one that waited in vain does', () => {
  const [refused, queued] = [entry(), entry()];
  const latest = new Map<string, Backoff>();
  backOff('of a key', refused, new VerifyFailure('rate_limited', 'refused'), latest, 0);
  backOff('of another', queued, new VerifyFailure('overloaded', 'no slot', { durationMs: 1 }), latest, 0);
  expect([refused, queued].map(({ backoff }) => backoff?.until)).toEqual([undefined, 500]);
});
