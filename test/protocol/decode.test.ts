import { describe, expect, test, vi } from 'vitest';

import type { DecodeContext, ProtocolAnswer, WireProtocol } from 'keyverify';

import { decodeResponse } from '../../src/protocol/decode.js';
import { isMisspelt, nearMiss } from '../../src/protocol/near-miss.js';
import { response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'sk-good-0123456789abcdef';
const CONTEXT: DecodeContext = { secrets: [KEY], askedAt: NOW, scope: undefined };
const GOOD = { kind: 'verified', client: 'acme', tenant: 'cust-A' } as const;

/** A protocol of the caller's own, that reads the same from every response. */
function protocol(answer: unknown, scope?: WireProtocol['scope']): WireProtocol {
  return {
    scope,
    encode: ({ url }) => ({ url, method: 'POST', headers: {}, body: '', needsBody: () => true }),
    decode: () => answer as ProtocolAnswer,
  };
}
const decode = (answer: unknown, status = 200, context = CONTEXT) =>
  decodeResponse(protocol(answer), response(status), context);

const UNREADABLE = 'keyverify: the key server answered with something the protocol could not read';
const notVerdict = (problem: string) => ({
  failure: {
    kind: 'invalid_response',
    message: `keyverify: the response of the key server is not a verdict: ${problem}`,
  },
});

describe('what no protocol can change', () => {
  test.each([0, 100, 199, 300, 302, 307, 399, 408, 421, 425, 500, 503, 599, 600, NaN])(
    'a response with the status %i is never read',
    (status) => {
      const given = protocol(GOOD);
      const spy = vi.spyOn(given, 'decode');
      expect(decodeResponse(given, response(status), CONTEXT)).toHaveProperty('failure.status', status);
      expect(spy).not.toHaveBeenCalled();
    },
  );

  test.each([400, 401, 403, 404, 429, 499])('a response with the status %i does not verify', (status) => {
    expect(decode(GOOD, status)).toEqual(notVerdict(`the status is ${status}`));
    expect(decode({ kind: 'rejected', reason: 'unknown_key' }, status)).toMatchObject({ kind: 'rejected' });
  });

  test('an error is no verdict, and tells no secret', () => {
    const given = { ...protocol(GOOD), decode: () => expect.fail(`no ${KEY} here`) };
    const decoded = decodeResponse(given, response(200), CONTEXT);
    expect(decoded).toMatchObject({
      failure: { kind: 'invalid_response', message: UNREADABLE, cause: { message: 'no [redacted] here' } },
    });
  });

  test.each<[unknown, string]>([
    [Promise.resolve(GOOD), 'the protocol says neither verified nor rejected'],
    [{}, 'the protocol says neither verified nor rejected'],
    [{ kind: 'valid', client: 'acme', tenant: 'cust-A' }, 'the protocol says neither verified nor rejected'],
    [{ kind: 'verified' }, 'client and tenant have to be strings'],
    [{ ...GOOD, client: '' }, 'client and tenant have to be strings'],
    [{ ...GOOD, client: 7 }, 'client and tenant have to be strings'],
    [{ ...GOOD, tenant: undefined }, 'client and tenant have to be strings'],
    [{ ...GOOD, keyId: '' }, 'the key id has to be a string'],
    [{ ...GOOD, keyId: null }, 'the key id has to be a string'],
    [{ ...GOOD, expiresAt: '2027-01-01T00:00:00Z' }, 'the expiry is not a time before the year 10000'],
    [{ ...GOOD, expiresAt: String(NOW + 1) }, 'the expiry is not a time before the year 10000'],
    [{ ...GOOD, expiresAt: new Date(NOW + 1) }, 'the expiry is not a time before the year 10000'],
    [{ ...GOOD, expiresAt: NaN }, 'the expiry is not a time before the year 10000'],
    [{ ...GOOD, expiresAt: NOW * 1_000 }, 'the expiry is not a time before the year 10000'],
    [{ ...GOOD, claims: [] }, 'the claims are not an object'],
    [{ ...GOOD, claims: 'pro' }, 'the claims are not an object'],
    [{ ...GOOD, client: `x${KEY}x` }, 'client, tenant or key id holds a secret'],
    [{ ...GOOD, tenant: KEY }, 'client, tenant or key id holds a secret'],
    [{ ...GOOD, keyId: KEY }, 'client, tenant or key id holds a secret'],
  ])('%o is no verdict: %s', (answer, problem) => {
    expect(decode(answer)).toEqual(notVerdict(problem));
  });

  test.each([undefined, null, true])('%o is no answer at all', (answer) => {
    expect(decode(answer)).toEqual({
      failure: { kind: 'invalid_response', message: UNREADABLE, cause: expect.any(Error) as Error },
    });
  });

  test('a key that has ended is rejected', () => {
    expect(decode({ ...GOOD, expiresAt: NOW })).toMatchObject({
      kind: 'rejected',
      result: { reason: 'expired' },
      ambiguous: false,
    });
    expect(decode({ ...GOOD, expiresAt: NOW + 1 })).toMatchObject({ kind: 'verified', expiresAt: NOW + 1 });
  });

  test('claims are frozen and without secrets, and those of the protocol stay as they are', () => {
    const claims = { plan: 'pro', echo: KEY };
    const decoded = decode({ ...GOOD, claims: Object.freeze(claims) });
    expect(decoded).toMatchObject({ claims: { plan: 'pro', echo: '[redacted]' } });
    expect('claims' in decoded && Object.isFrozen(decoded.claims)).toBe(true);
    expect(claims.echo).toBe(KEY);
  });

  test('claims are 64 levels deep at most, so that what reads them may be recursive', () => {
    const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
    expect(decode({ ...GOOD, claims: { x: nested(63) } })).toMatchObject({ kind: 'verified' });
    for (const levels of [64, 3_000, 30_000])
      expect(decode({ ...GOOD, claims: { x: nested(levels), y: 1 } })).toEqual(
        notVerdict('the claims are nested deeper than 64 levels'),
      );
  });

  test('a rejection needs no reason, and may be ambiguous', () => {
    expect(decode({ kind: 'rejected' })).toMatchObject({ result: { reason: 'rejected' }, ambiguous: false });
    expect(decode({ kind: 'rejected', ambiguous: true })).toMatchObject({ ambiguous: true });
    expect(decode({ kind: 'rejected', ambiguous: 'yes', reason: 7 })).toMatchObject({
      result: { reason: 'rejected' },
      ambiguous: false,
    });
  });

  test.each([
    [KEY, `no ${KEY} here`, 'rejected'],
    // A short secret counts where it is a word of its own.
    ['abc', 'abc', 'rejected'],
    ['abc', 'key-abc', 'rejected'],
    ['abc', 'abcd', 'abcd'],
  ])('no reason quotes a secret: %s in %s is %s', (secret, reason, expected) => {
    const context = { ...CONTEXT, secrets: [secret] };
    expect(decode({ kind: 'rejected', reason }, 200, context)).toMatchObject({ result: { reason: expected } });
  });

  test.each(['unreachable', 'timeout', 'circuit_open', 'overloaded', 'constructor', undefined])(
    'a failure is not of the kind %s: a response cannot be that',
    (kind) => {
      expect(decode({ failure: { kind, message: `for ${KEY}` } })).toEqual({
        failure: { kind: 'invalid_response', message: 'for [redacted]', status: undefined, retryAfterMs: undefined },
      });
    },
  );

  test('a failure is what the protocol says, without anything else', () => {
    const failure = { kind: 'rate_limited', message: 'busy', status: 200, retryAfterMs: 5 };
    expect(decode({ failure: { ...failure, evidence: 'proven', unconnected: true } })).toEqual({ failure });
    expect(decode({ failure: { ...failure, tokenRefused: true } })).toMatchObject({ failure: { tokenRefused: true } });
  });
});

test('Cache-Control shortens what a verdict is worth, unless the protocol ignores it', () => {
  const given = response(200, '', { 'cache-control': 'no-store' });
  expect(decodeResponse(protocol(GOOD), given, CONTEXT)).toMatchObject({ freshness: { noStore: true } });
  const ignoring = { ...protocol(GOOD), ignoreCacheControl: true };
  expect(decodeResponse(ignoring, given, CONTEXT)).toMatchObject({ freshness: { noStore: false, maxAgeMs: Infinity } });
});

test('Age shortens what max-age leaves', () => {
  const given = response(200, '', { 'cache-control': 'max-age=60', age: '5' });
  expect(decodeResponse(protocol(GOOD), given, CONTEXT)).toMatchObject({ freshness: { maxAgeMs: 55_000 } });
});

describe('a scope that is compared', () => {
  const scoped = (scope: string | undefined, mode: WireProtocol['scope'] = 'compared') =>
    decodeResponse(protocol(GOOD, mode), response(200), { ...CONTEXT, scope });

  test('rejects the keys of other tenants', () => {
    expect(scoped('cust-A')).toMatchObject({ kind: 'verified' });
    expect(scoped(undefined)).toMatchObject({ kind: 'verified' });
    expect(scoped('cust-a')).toMatchObject({ kind: 'rejected', result: { reason: 'scope_mismatch' } });
  });

  test('is not compared where the key server does so', () => {
    expect(scoped('cust-B', 'sent')).toMatchObject({ kind: 'verified' });
  });
});

describe('a near miss', () => {
  test.each([
    ['client', { clientId: 1, name: 2 }, ' (there is clientId)'],
    ['client_id', { ClientID: 1, client: 2 }, ' (there is ClientID, client)'],
    ['valid', { isValid: 1, is_valid: 2, 'x-valid': 3, VALID: 4 }, ' (there is isValid, is_valid, x-valid)'],
    ['valid', { valid: 'yes' }, ''],
    ['valid', { active: true, id: 1, v: 1, '': 1 }, ''],
    ['valid', { [`valid ${KEY}`]: 1, [`valid${'d'.repeat(64)}`]: 1 }, ''],
    ['valid', ['isValid'], ''],
    ['valid', null, ''],
  ])('of %s in %o is named: %j', (name, json, named) => {
    expect(nearMiss(name, json)).toBe(named);
  });
});

test.each([
  ['expires_at', 'expiresAt', true],
  ['expires_at', '_expires-at', true],
  ['_expires', 'expires', true],
  ['-expires', 'EXPIRES', true],
  ['expires_at', 'EXPIRESAT', true],
  ['expires_at', 'expires', false],
  ['expires_at', 'xpires_at', false],
])('%s under the name %s: misspelled %s', (name, field, expected) => {
  expect(isMisspelt(name, { [field]: 1 })).toBe(expected);
  expect(isMisspelt(name, { [field]: 1, [name]: 1 })).toBe(false);
});
