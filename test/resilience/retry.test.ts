import { describe, expect, test } from 'vitest';

import type { FailureKind } from 'keyverify';

import type { AttemptFailure } from '../../src/core/failure.js';
import { LONGEST_RETRY_AFTER_MS, retriesLeft, retryAfterMs, retryDelayMs } from '../../src/resilience/retry.js';

const problem = (kind: FailureKind, retryAfterMs?: number): AttemptFailure => ({ kind, message: 'no', retryAfterMs });

describe('a retry', () => {
  test.each(['unreachable', 'timeout', 'server_error'] as const)('follows %s as often as is wanted', (kind) => {
    expect(retriesLeft(problem(kind), 1, 0)).toBe(0);
    expect(retriesLeft(problem(kind), 1, 1)).toBe(1);
    expect(retriesLeft(problem(kind), 2, 1)).toBe(0);
    expect(retriesLeft(problem(kind), 2, 5)).toBe(4);
  });

  test('follows an answer that is no verdict once, if at all', () => {
    expect(retriesLeft(problem('invalid_response'), 1, 0)).toBe(0);
    expect(retriesLeft(problem('invalid_response'), 1, 5)).toBe(1);
    expect(retriesLeft(problem('invalid_response'), 2, 5)).toBe(0);
  });

  test.each(['rate_limited', 'overloaded', 'circuit_open', 'misconfigured'] as const)('never follows %s', (kind) => {
    expect(retriesLeft(problem(kind), 1, 5)).toBe(0);
  });

  test('comes anywhere between at once and a bound that doubles', () => {
    const bounds = [1, 2, 3, 4].map((sent) => retryDelayMs(problem('timeout'), sent, () => 1));
    expect(bounds).toEqual([100, 200, 400, 800]);
    expect(retryDelayMs(problem('timeout'), 3, () => 0)).toBe(0);
    expect(retryDelayMs(problem('timeout'), 2, () => 0.25)).toBe(50);
  });

  test('comes when the server wants it, not sooner and not later', () => {
    expect(retryDelayMs(problem('server_error', 700), 1, () => 0)).toBe(700);
    expect(retryDelayMs(problem('server_error', 0), 1, () => 1)).toBe(0);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-06T08:49:37Z');

  test('is a number of seconds', () => {
    expect(retryAfterMs('0', now)).toBe(0);
    expect(retryAfterMs('7', now)).toBe(7_000);
    expect(retryAfterMs('12', now)).toBe(12_000);
  });

  test('or a date, in the new form or in the old one', () => {
    expect(retryAfterMs('Fri, 06 Nov 2026 08:49:40 GMT', now)).toBe(3_000);
    expect(retryAfterMs('Friday, 06-Nov-26 08:49:40 GMT', now)).toBe(3_000);
  });

  test('that has passed means at once', () => {
    expect(retryAfterMs('Fri, 06 Nov 2026 08:49:30 GMT', now)).toBe(0);
  });

  test('is believed up to 30 seconds', () => {
    expect(LONGEST_RETRY_AFTER_MS).toBe(30_000);
    expect(retryAfterMs('29', now)).toBe(29_000);
    expect(retryAfterMs('31', now)).toBe(30_000);
    expect(retryAfterMs('9'.repeat(400), now)).toBe(30_000);
    expect(retryAfterMs('Fri, 06 Nov 2026 10:00:00 GMT', now)).toBe(30_000);
  });

  test.each([
    undefined,
    '',
    'soon',
    '1.5',
    '-5',
    '1e3',
    '5s',
    ' 5',
    '2026-11-06',
    'x Fri, 06 Nov 2026 08:49:40 GMT',
    'Fri, GMT',
    'Fri, 06 Nov 2026 08:49:40 GMT x',
    'Fri, 06 Nov 2026 08:49:40 GMT+0100',
    'Foo, bar GMT',
  ])('that says %j says nothing', (header) => {
    expect(retryAfterMs(header, now)).toBeUndefined();
  });
});
