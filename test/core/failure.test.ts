import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import {
  InvalidOptionsError,
  KeyVerifyError,
  VerifyFailure,
  isKeyVerifyError,
  type Evidence,
  type FailureKind,
} from 'keyverify';

import { mayBeOutage } from '../../src/core/failure.js';

const KINDS: readonly (readonly [FailureKind, string, boolean])[] = [
  ['unreachable', 'KEYVERIFY_UNREACHABLE', true],
  ['timeout', 'KEYVERIFY_TIMEOUT', true],
  ['server_error', 'KEYVERIFY_SERVER_ERROR', true],
  ['circuit_open', 'KEYVERIFY_CIRCUIT_OPEN', true],
  ['rate_limited', 'KEYVERIFY_RATE_LIMITED', false],
  ['overloaded', 'KEYVERIFY_OVERLOADED', false],
  ['misconfigured', 'KEYVERIFY_MISCONFIGURED', false],
  ['invalid_response', 'KEYVERIFY_INVALID_RESPONSE', false],
];

describe('a failure', () => {
  test.each(KINDS)('of kind %s has the code %s', (kind, code) => {
    expect(new VerifyFailure(kind, 'no')).toMatchObject({ kind, code, message: 'no' });
  });

  test.each(KINDS)('of kind %s (%s) is an outage with evidence for all: %s, and never without', (kind, _, may) => {
    const isOutage = (evidence: Evidence | undefined) => new VerifyFailure(kind, 'no', { evidence }).isOutage;
    expect([isOutage('proven'), isOutage('unproven'), isOutage('none'), isOutage(undefined)]).toEqual([
      may,
      false,
      false,
      false,
    ]);
  });

  test.each(KINDS)('of kind %s (%s) may be a sign of an outage: %s', (kind, _, may) => {
    expect(mayBeOutage({ kind })).toBe(may);
    expect(mayBeOutage({ kind, status: 500 })).toBe(may);
    expect(mayBeOutage({ kind, status: 499 })).toBe(false);
    expect(mayBeOutage(new VerifyFailure(kind, 'no'))).toBe(may);
  });

  test('is ambiguous only where that is said', () => {
    expect(
      [undefined, false, true].map((ambiguous) => new VerifyFailure('timeout', 'no', { ambiguous }).ambiguous),
    ).toEqual([false, false, true]);
  });

  test('is an error of this library', () => {
    const failure = new VerifyFailure('timeout', 'late');
    expect(failure).toBeInstanceOf(KeyVerifyError);
    expect(failure).toBeInstanceOf(Error);
    expect(failure.name).toBe('VerifyFailure');
    expect(String(failure)).toBe('VerifyFailure: late');
  });

  test('carries what is known of it', () => {
    const details = {
      cause: new Error('reset'),
      attempts: 2,
      durationMs: 30,
      retryAfterMs: 1_000,
      evidence: 'unproven',
    } as const;
    expect(new VerifyFailure('timeout', 'late', details)).toMatchObject(details);
  });

  test('has defaults for what is not known, and no cause', () => {
    const failure = new VerifyFailure('timeout', 'late');
    expect(failure).toMatchObject({ attempts: 0, durationMs: 0, retryAfterMs: undefined, evidence: 'none' });
    expect('cause' in failure).toBe(false);
  });

  test('has no frames in its stack: they would hold on to the key', () => {
    expect(new VerifyFailure('timeout', 'late').stack).toBe('VerifyFailure: late');
  });
});

describe('invalid options', () => {
  test('are listed all at once, a line each', () => {
    const error = new InvalidOptionsError(['a: wrong', 'b: wrong']);
    expect(error).toBeInstanceOf(KeyVerifyError);
    expect(error).toMatchObject({
      name: 'InvalidOptionsError',
      code: 'KEYVERIFY_INVALID_OPTIONS',
      issues: ['a: wrong', 'b: wrong'],
      message: 'keyverify: invalid options\n  - a: wrong\n  - b: wrong',
    });
  });
});

describe('isKeyVerifyError', () => {
  test('recognizes the errors of this library', () => {
    expect(isKeyVerifyError(new VerifyFailure('timeout', 'late'))).toBe(true);
    expect(isKeyVerifyError(new InvalidOptionsError([]))).toBe(true);
  });

  test('recognizes an error of another copy or another realm', () => {
    const foreign: unknown = runInNewContext(
      `new (class extends Error { get [Symbol.for('keyverify.error')]() { return true; } })()`,
    );
    expect(foreign).not.toBeInstanceOf(Error);
    expect(isKeyVerifyError(foreign)).toBe(true);
  });

  test.each([undefined, null, 'KEYVERIFY_TIMEOUT', 7, {}, new Error('no'), { [Symbol.for('keyverify.error')]: 1 }])(
    'takes nothing else for one: %o',
    (other) => {
      expect(isKeyVerifyError(other)).toBe(false);
    },
  );

  test('marks no error by a field that would be printed with it', () => {
    expect(Object.getOwnPropertySymbols(new VerifyFailure('timeout', 'late'))).toEqual([]);
  });
});
