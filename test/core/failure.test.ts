import { describe, expect, test } from 'vitest';

import { InvalidOptionsError, KeyVerifyError, VerifyFailure } from 'keyverify';

describe('a failure', () => {
  test.each([
    ['unreachable', 'KEYVERIFY_UNREACHABLE', true],
    ['timeout', 'KEYVERIFY_TIMEOUT', true],
    ['server_error', 'KEYVERIFY_SERVER_ERROR', true],
    ['circuit_open', 'KEYVERIFY_CIRCUIT_OPEN', true],
    ['rate_limited', 'KEYVERIFY_RATE_LIMITED', false],
    ['overloaded', 'KEYVERIFY_OVERLOADED', false],
    ['misconfigured', 'KEYVERIFY_MISCONFIGURED', false],
    ['invalid_response', 'KEYVERIFY_INVALID_RESPONSE', false],
  ] as const)('of kind %s has the code %s; whether it is an outage: %s', (kind, code, isOutage) => {
    expect(new VerifyFailure(kind, 'no')).toMatchObject({ kind, code, isOutage, message: 'no' });
  });

  test('is an error of this library', () => {
    const failure = new VerifyFailure('timeout', 'late');
    expect(failure).toBeInstanceOf(KeyVerifyError);
    expect(failure).toBeInstanceOf(Error);
    expect(failure.name).toBe('VerifyFailure');
    expect(String(failure)).toBe('VerifyFailure: late');
  });

  test('says what is known of it', () => {
    const cause = new Error('reset');
    const details = { cause, attempts: 2, durationMs: 30, retryAfterMs: 1_000 };
    expect(new VerifyFailure('timeout', 'late', details)).toMatchObject(details);
  });

  test('cost nothing where nothing is known, and has no cause', () => {
    const failure = new VerifyFailure('timeout', 'late');
    expect(failure).toMatchObject({ attempts: 0, durationMs: 0 });
    expect(failure.retryAfterMs).toBeUndefined();
    expect('cause' in failure).toBe(false);
  });

  test('has no frames in its stack: they would hold on to the key', () => {
    expect(new VerifyFailure('timeout', 'late').stack).toBe('VerifyFailure: late');
  });
});

describe('invalid options', () => {
  test('are told all at once, a line each', () => {
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
