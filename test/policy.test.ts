import { describe, expect, test } from 'vitest';

import { VerifyFailure, type FailureKind } from 'keyverify';

import { decide } from '../src/policy.js';
import { rejected, verified } from './helpers/verdicts.js';

const OUTAGES: readonly FailureKind[] = ['unreachable', 'timeout', 'server_error', 'circuit_open'];
const OTHERS: readonly FailureKind[] = ['rate_limited', 'overloaded', 'misconfigured', 'invalid_response'];

describe('the policy', () => {
  test.each([...OUTAGES, ...OTHERS])('honours a stale verdict whatever the failure, such as %s', (kind) => {
    const failure = new VerifyFailure(kind, 'no');
    for (const failOpen of [true, false])
      for (const stale of [verified(), rejected()]) expect(decide(stale, failure, failOpen)).toBe(stale);
  });

  test.each(OUTAGES)('opens for %s where that is wanted, without an identity', (kind) => {
    const failure = new VerifyFailure(kind, 'no');
    const open = decide(undefined, failure, true);
    expect(open).toEqual({ valid: true, source: 'fail-open', client: null, tenant: null, failure });
    expect(Object.isFrozen(open)).toBe(true);
    expect(decide(undefined, failure, false).valid).toBe(false);
  });

  test.each(OTHERS)('never opens for %s', (kind) => {
    const failure = new VerifyFailure(kind, 'no');
    for (const failOpen of [true, false]) {
      const closed = decide(undefined, failure, failOpen);
      expect(closed).toEqual({ valid: false, source: 'fail-closed', reason: 'unavailable', failure });
      expect(Object.isFrozen(closed)).toBe(true);
    }
  });
});
