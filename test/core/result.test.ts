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

import { failedClosed, failedOpen, rejected as reject, verified as verify } from '../../src/core/result.js';
import { rejected, verified } from '../helpers/verdicts.js';

const failure = new VerifyFailure('timeout', 'late');
const OPEN: FailedOpen = {
  status: 'failed-open',
  valid: true,
  source: 'fail-open',
  client: null,
  tenant: null,
  failure,
};
const CLOSED: FailedClosed = {
  status: 'failed-closed',
  valid: false,
  source: 'fail-closed',
  reason: 'unavailable',
  failure,
};
const IDENTITY = { client: 'acme', tenant: 'cust-A', claims: { plan: 'pro' }, verifiedAt: 7 };
const VERIFIED = { status: 'verified', valid: true, source: 'cache', ...IDENTITY };

describe('the guards', () => {
  test.each<[VerifyResult<unknown, boolean>, string]>([
    [verified(), 'verified'],
    [rejected(), 'rejected'],
    [rejected('missing_key', 'local'), 'rejected'],
    [OPEN, 'unavailable failed-open'],
    [CLOSED, 'unavailable'],
  ])('call %j %s', (result, kinds) => {
    const found = Object.entries({
      verified: isVerified(result),
      rejected: isRejected(result),
      unavailable: isUnavailable(result),
      'failed-open': isFailedOpen(result),
    });
    expect(found.flatMap(([kind, yes]) => (yes ? [kind] : [])).join(' ')).toBe(kinds);
  });
});

test.each([isVerified, isRejected, isUnavailable, isFailedOpen])('%o refuses a promise', (is) => {
  const promise = Promise.resolve(verified()) as never;
  expect(() => is(promise)).toThrow(new TypeError('keyverify: expected a result: await verify() first'));
});

describe('a result is frozen, and has exactly its fields:', () => {
  test.each<[string, VerifyResult<unknown, boolean>, object]>([
    ['verified', verify('cache', IDENTITY), VERIFIED],
    ['verified with a key id', verify('cache', { ...IDENTITY, keyId: 'k-1' }), { ...VERIFIED, keyId: 'k-1' }],
    ['verified with an end', verify('cache', { ...IDENTITY, expiresAt: 9 }), { ...VERIFIED, expiresAt: 9 }],
    [
      'verified with both',
      verify('stale', { ...IDENTITY, keyId: 'k-1', expiresAt: 9 }),
      { ...VERIFIED, source: 'stale', keyId: 'k-1', expiresAt: 9 },
    ],
    ['rejected', reject('local', 'missing_key'), rejected('missing_key', 'local')],
    ['failed open', failedOpen(failure), OPEN],
    ['failed closed', failedClosed(failure), CLOSED],
  ])('%s', (_, result, expected) => {
    expect(result).toStrictEqual(expected);
    expect(Object.isFrozen(result)).toBe(true);
  });
});
