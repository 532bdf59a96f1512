import { describe, expect, test } from 'vitest';

import type { AttemptFailure, FailureKind } from 'keyverify';

import { retriesLeft, retryDelayMs } from '../../src/resilience/retry.js';

const failed = (kind: FailureKind, retryAfterMs?: number): AttemptFailure => ({ kind, message: 'no', retryAfterMs });

describe('a retry', () => {
  test.each(['unreachable', 'timeout', 'server_error'] as const)('follows %s as often as retries says', (kind) => {
    expect(retriesLeft(failed(kind), 1, 0)).toBe(0);
    expect(retriesLeft(failed(kind), 1, 1)).toBe(1);
    expect(retriesLeft(failed(kind), 2, 1)).toBe(0);
    expect(retriesLeft(failed(kind), 2, 5)).toBe(4);
  });

  test('follows a response that is no verdict once, if at all', () => {
    expect(retriesLeft(failed('invalid_response'), 1, 0)).toBe(0);
    expect(retriesLeft(failed('invalid_response'), 1, 5)).toBe(1);
    expect(retriesLeft(failed('invalid_response'), 2, 5)).toBe(0);
  });

  test.each(['rate_limited', 'overloaded', 'circuit_open', 'misconfigured'] as const)('never follows %s', (kind) => {
    expect(retriesLeft(failed(kind), 1, 5)).toBe(0);
  });
});

describe('the delay of a retry', () => {
  test('is random, between nothing and a bound that doubles', () => {
    const bounds = [1, 2, 3, 4].map((sent) => retryDelayMs(failed('timeout'), sent, () => 1));
    expect(bounds).toEqual([100, 200, 400, 800]);
    expect(retryDelayMs(failed('timeout'), 3, () => 0)).toBe(0);
    expect(retryDelayMs(failed('timeout'), 2, () => 0.25)).toBe(50);
  });

  test('is Retry-After at least', () => {
    expect(retryDelayMs(failed('server_error', 700), 1, () => 1)).toBe(700);
    expect(retryDelayMs(failed('server_error', 30), 1, () => 0.5)).toBe(50);
  });

  test('is still random after Retry-After: 0 or a date in the past', () => {
    expect(retryDelayMs(failed('server_error', 0), 1, () => 0.75)).toBe(75);
  });
});
