import { describe, expect, test } from 'vitest';

import {
  VerifyFailure,
  isFailedOpen,
  isRejected,
  isUnavailable,
  isVerified,
  type FailedClosed,
  type FailedOpen,
  type VerifyResult,
} from 'keyverify';

import { ResultCounter } from '../../src/observe/stats.js';
import { rejected, verified } from '../helpers/verdicts.js';

const failure = new VerifyFailure('timeout', 'late');
const OPEN: FailedOpen = { valid: true, source: 'fail-open', client: null, tenant: null, failure };
const CLOSED: FailedClosed = { valid: false, source: 'fail-closed', reason: 'unavailable', failure };

describe('the guards', () => {
  test.each<[VerifyResult<unknown, boolean>, string]>([
    [verified(), 'verified'],
    [verified({ source: 'cache' }), 'verified'],
    [verified({ source: 'stale' }), 'verified'],
    [rejected(), 'rejected'],
    [{ ...rejected(), source: 'cache' }, 'rejected'],
    [{ ...rejected(), source: 'stale' }, 'rejected'],
    [{ ...rejected(), source: 'local' }, 'rejected'],
    [OPEN, 'unavailable failed-open'],
    [CLOSED, 'unavailable'],
  ])('tell that %j is %s', (result, kinds) => {
    const told = Object.entries({
      verified: isVerified(result),
      rejected: isRejected(result),
      unavailable: isUnavailable(result),
      'failed-open': isFailedOpen(result),
    });
    expect(told.flatMap(([kind, yes]) => (yes ? [kind] : [])).join(' ')).toBe(kinds);
  });
});

describe('the tally', () => {
  const REST = { entries: { verified: 1, rejected: 2 }, asking: 3, waiting: 4, breaker: 'closed' } as const;
  const NONE = { server: 0, cache: 0, stale: 0, local: 0, 'fail-open': 0, 'fail-closed': 0 };

  test('counts results by their source, and hands them on', () => {
    const tally = new ResultCounter();
    expect(tally.count(CLOSED)).toBe(CLOSED);
    for (const result of [verified(), verified(), rejected(), OPEN]) tally.count(result);
    expect(tally.snapshot(REST)).toEqual({
      results: { ...NONE, server: 3, 'fail-open': 1, 'fail-closed': 1 },
      ...REST,
    });
  });

  test('gives numbers that stay what they were', () => {
    const tally = new ResultCounter();
    const before = tally.snapshot(REST);
    tally.count(verified());
    expect(before.results).toEqual(NONE);
  });
});
