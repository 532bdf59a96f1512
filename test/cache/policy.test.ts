import { describe, expect, test } from 'vitest';

import { VerifyFailure, type Evidence, type FailureKind, type Rejected, type Verified } from 'keyverify';

import { Entry } from '../../src/cache/entry.js';
import { failedClosed, failedOpen } from '../../src/core/result.js';
import { decide, staleResult } from '../../src/cache/policy.js';
import { ASKED_AT, rejected, verified } from '../helpers/verdicts.js';

const OUTAGES: readonly FailureKind[] = ['unreachable', 'timeout', 'server_error', 'circuit_open'];
const OTHERS: readonly FailureKind[] = ['rate_limited', 'overloaded', 'misconfigured', 'invalid_response'];
const KINDS = [...OUTAGES, ...OTHERS];

const fails = (kind: FailureKind, evidence: Evidence = 'none') => new VerifyFailure(kind, 'no', { evidence });

describe('a failure', () => {
  test.each(KINDS)('never overrides what is known of the key: %s', (kind) => {
    for (const mayOpen of [true, false])
      for (const known of [verified(), rejected()]) expect(decide(known, fails(kind, 'proven'), mayOpen)).toBe(known);
  });

  test.each(OUTAGES)('lets an unknown key in only with proof of an outage, and only if that is wanted: %s', (kind) => {
    const proven = fails(kind, 'proven');
    expect(decide(undefined, proven, true)).toEqual(failedOpen(proven));
    expect(decide(undefined, proven, false)).toEqual(failedClosed(proven));
    for (const evidence of ['none', 'unproven'] as const)
      expect(decide(undefined, fails(kind, evidence), true)).toMatchObject({ status: 'failed-closed' });
  });

  test.each(OTHERS)('that is no outage never lets anybody in: %s', (kind) => {
    const failure = fails(kind, 'proven');
    expect(decide(undefined, failure, true)).toEqual(failedClosed(failure));
  });
});

const TTL = 1_000;
const STALE = 5_000;
const OUTAGE = fails('unreachable', 'proven');

function stale(
  result: Verified | Rejected,
  age: number,
  failure = OUTAGE,
  {
    ttlMs = TTL,
    noStale = false,
    staleIfErrorMs = STALE,
    maxAgeMs = Infinity,
    answeredMs = Infinity,
    failingMs = 0,
    controlsFail = false,
  } = {},
): string | undefined {
  const entry = new Entry(result, ASKED_AT, { ttlMs, refreshAtAge: ttlMs, noStale });
  const served = staleResult(entry, age, failure, { staleIfErrorMs, maxAgeMs, answeredMs, failingMs, controlsFail });
  if (served === undefined) return undefined;
  return served.valid ? `valid ${served.source}` : `${served.reason} ${served.source}`;
}

/** The ages at which it is honored, right before and right at this bound. */
const around = (bound: number, honors: (age: number) => string | undefined) => [honors(bound - 0.1), honors(bound)];
const ENDS = ['valid stale', undefined];

describe('a stale verdict', () => {
  test.each<[FailureKind, Evidence]>([
    ['unreachable', 'proven'],
    ['timeout', 'unproven'],
    ['server_error', 'proven'],
    ['circuit_open', 'proven'],
    ['misconfigured', 'none'],
    ['invalid_response', 'none'],
  ])('is honored for staleIfErrorMs past its TTL: %s, evidence %s', (kind, evidence) => {
    expect(around(TTL + STALE, (age) => stale(verified(), age, fails(kind, evidence)))).toEqual(ENDS);
  });

  test.each<[FailureKind, Evidence]>([
    ['rate_limited', 'none'],
    ['rate_limited', 'proven'],
    ['overloaded', 'none'],
    ['overloaded', 'proven'],
    ['unreachable', 'none'],
    ['timeout', 'none'],
    ['server_error', 'none'],
  ])('is honored for one more TTL where callers can cause the failure: %s, evidence %s', (kind, evidence) => {
    const failure = fails(kind, evidence);
    expect(around(2 * TTL, (age) => stale(verified(), age, failure))).toEqual(ENDS);
    // Not longer than in an outage.
    expect(around(TTL + 300, (age) => stale(verified(), age, failure, { staleIfErrorMs: 300 }))).toEqual(ENDS);
  });

  test.each<[FailureKind, Evidence]>([
    ['misconfigured', 'none'],
    ['invalid_response', 'none'],
    ['server_error', 'unproven'],
    ['circuit_open', 'unproven'],
  ])(
    'is honored for one more TTL while others are answered, whatever is wrong with this key: %s, evidence %s',
    (kind, evidence) => {
      const until = (bound: number, answeredMs: number) =>
        around(bound, (age) => stale(verified(), age, fails(kind, evidence), { answeredMs, controlsFail: true }));
      expect(until(2 * TTL, TTL - 0.1)).toEqual(ENDS);
      expect(until(TTL + STALE, TTL)).toEqual(ENDS);
    },
  );

  test.each<[FailureKind, Evidence]>([
    ['misconfigured', 'none'],
    ['server_error', 'unproven'],
  ])('is honored for one more TTL once others were answered while it failed: %s, evidence %s', (kind, evidence) => {
    const given = { answeredMs: 3 * TTL, controlsFail: true };
    const until = (bound: number, failingMs: number) =>
      around(bound, (age) => stale(verified(), age, fails(kind, evidence), { ...given, failingMs }));
    expect(until(2 * TTL, 3 * TTL + 0.1)).toEqual(ENDS);
    expect(until(TTL + STALE, 3 * TTL)).toEqual(ENDS);
  });

  test.each([
    ['proven', true],
    ['proven', false],
    // A verifier that never fails open has not asked how the server answers a control question.
    ['unproven', false],
  ] as const)('is honored for longer in an outage that has just begun: %s, control questions fail: %s', (...given) => {
    const [evidence, controlsFail] = given;
    const failure = fails('timeout', evidence);
    const honors = (age: number) => stale(verified(), age, failure, { answeredMs: 0, controlsFail });
    expect(around(TTL + STALE, honors)).toEqual(ENDS);
  });

  test('is not honored with staleIfErrorMs 0', () => {
    expect(stale(verified(), TTL, OUTAGE, { staleIfErrorMs: 0 })).toBeUndefined();
  });

  test('is not honored where the server forbids it', () => {
    expect(stale(verified(), TTL, OUTAGE, { noStale: true })).toBeUndefined();
  });

  test('is not honored for a caller who wants a younger one', () => {
    expect(stale(verified(), 1_200, OUTAGE, { maxAgeMs: 1_200.1 })).toBe('valid stale');
    expect(stale(verified(), 1_200, OUTAGE, { maxAgeMs: 1_200 })).toBeUndefined();
    for (const unbounded of [{ maxAgeMs: NaN }, { staleIfErrorMs: NaN }, { ttlMs: NaN }])
      expect(stale(verified(), 1_200, OUTAGE, unbounded)).toBeUndefined();
    // Within its TTL, too.
    expect(stale(verified(), 500, OUTAGE, { maxAgeMs: 500 })).toBeUndefined();
  });
});

describe('what is known, however old,', () => {
  const AGES = [TTL, TTL + STALE, 1e12];
  const STRICTEST = { staleIfErrorMs: 0, maxAgeMs: 0, noStale: true };

  test.each(KINDS)('keeps a refused key out: %s', (kind) => {
    for (const age of AGES)
      expect(stale(rejected('disabled'), age, fails(kind, 'proven'), STRICTEST)).toBe('disabled stale');
  });

  test.each(KINDS)('keeps a key out that has ended: %s', (kind) => {
    const ended = verified({ expiresAt: ASKED_AT.wall + TTL });
    for (const age of AGES) expect(stale(ended, age, fails(kind, 'proven'), STRICTEST)).toBe('expired stale');
  });

  test('keeps a key out from the moment it ends', () => {
    const ending = verified({ expiresAt: ASKED_AT.wall + 1_200 });
    expect([1_199.9, 1_200].map((age) => stale(ending, age))).toEqual(['valid stale', 'expired stale']);
  });
});

describe('a verdict that was refreshed in the meantime', () => {
  test.each([verified({ source: 'cache' }), rejected('revoked', 'cache')])('is served as it is: %o', (result) => {
    const entry = new Entry(result, ASKED_AT, { ttlMs: TTL, refreshAtAge: TTL, noStale: true });
    const options = { staleIfErrorMs: 0, maxAgeMs: 1_000, answeredMs: Infinity, failingMs: 0, controlsFail: false };
    expect(staleResult(entry, 999.9, OUTAGE, options)).toBe(entry.result);
    expect(staleResult(entry, 1_000, OUTAGE, options)).not.toBe(entry.result);
  });
});
