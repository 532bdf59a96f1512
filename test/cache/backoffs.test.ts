import { describe, expect, test } from 'vitest';

import { Backoffs } from '../../src/cache/backoffs.js';
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
  failures.forEach((failure, i) => backoffs.begin(failing, failure, 1000 * (i + 1), 0.5));
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

test('a key is failing since the first failure in a row', () => {
  const backoffs = new Backoffs<unknown>();
  const failing = entry();
  for (const mono of [1000, 2000, 3000]) backoffs.begin(failing, fails('timeout'), mono, 0);
  expect(failing.failingMs(3500)).toBe(2500);
});
