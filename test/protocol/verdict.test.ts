import { describe, expect, test } from 'vitest';

import { decodeResponse } from '../../src/protocol/decode.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'sk-good-0123456789abcdef';
const CONTEXT = { secrets: [KEY], askedAt: NOW, scope: undefined };
const decode = (json: unknown) =>
  decodeResponse(defaultProtocol, response(200, json === undefined ? '' : JSON.stringify(json)), CONTEXT);
/** A verdict, or what is wrong with it. */
const read = (json: unknown) => {
  const decoded = decode(json);
  return 'failure' in decoded
    ? {
        kind: 'invalid' as const,
        problem: decoded.failure.message.replace(/^.*(?:answered with |is not a verdict: )/, ''),
      }
    : decoded;
};
const good = (fields: Record<string, unknown>) => read({ ...GOOD_BODY, ...fields });

describe('a good verdict', () => {
  test('says whose the key is, and keeps whatever else it is told as claims', () => {
    expect(good({ key_id: 'k-1', plan: 'pro', limits: { rps: 5 } })).toMatchObject({
      kind: 'verified',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'k-1',
      expiresAt: undefined,
      claims: { plan: 'pro', limits: { rps: 5 } },
    });
  });

  test('needs neither key id nor end, and null is neither', () => {
    for (const verdict of [good({}), good({ key_id: null, expires_at: null })])
      expect(verdict).toMatchObject({
        kind: 'verified',
        client: 'acme',
        tenant: 'cust-A',
        keyId: undefined,
        expiresAt: undefined,
        claims: {},
      });
  });

  test('has claims that are frozen, all the way down', () => {
    const verdict = good({ limits: { rps: [1] } });
    const claims = verdict.kind === 'verified' ? verdict.claims : {};
    const limits = claims['limits'] as { rps: number[] };
    expect([claims, limits, limits.rps].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test('has claims without anything that could change a prototype', () => {
    const verdict = read(JSON.parse('{"valid":true,"client":"a","tenant":"b","__proto__":{"admin":true}}'));
    expect(verdict).toMatchObject({ kind: 'verified', claims: {} });
    expect(verdict.kind === 'verified' && Object.keys(verdict.claims)).toEqual([]);
    expect(verdict.kind === 'verified' && verdict.claims['admin']).toBeUndefined();
  });
});

describe('a verdict that is not whole', () => {
  test.each([null, undefined, 'valid', 42, true, []])(
    'such as %j is no JSON object, or has no verdict in it',
    (json) => {
      const verdict = read(json);
      expect(verdict.kind).toBe('invalid');
    },
  );

  test.each([null, 'valid', 42])('is called no JSON object where it is %j', (json) => {
    expect(read(json)).toEqual({ kind: 'invalid', problem: 'not a JSON object' });
  });

  test.each<[Record<string, unknown>, string]>([
    [{ valid: undefined }, 'valid'],
    [{ valid: null }, 'valid'],
    [{ valid: 'true' }, 'valid: expected true or false, got a string'],
    [{ valid: 1 }, 'valid: expected true or false, got a number'],
    [{ valid: [] }, 'valid: expected true or false, got an object'],
    [{ client: undefined }, 'client'],
    [{ client: '' }, 'client: expected a string, got an empty string'],
    [{ client: 7 }, 'client: expected a string, got a number'],
    [{ tenant: null }, 'tenant'],
    [{ tenant: '' }, 'tenant: expected a string, got an empty string'],
    [
      { client: '', tenant: {} },
      'client: expected a string, got an empty string; tenant: expected a string, got an object',
    ],
    [{ key_id: '' }, 'key_id: expected a string, got an empty string'],
    [{ key_id: 7 }, 'key_id: expected a string, got a number'],
    [{ expires_at: true }, 'expires_at'],
    [{ expires_at: {} }, 'expires_at'],
  ])('for %o is refused, and what is wrong is named: %s', (fields, named) => {
    expect(good(fields)).toEqual({ kind: 'invalid', problem: `missing or wrong: ${named}` });
  });

  test.each<[Record<string, unknown>, string]>([
    [{ expiresAt: 1 }, 'expires_at (there is expiresAt)'],
    [{ expires_at: null, 'Expires-At': '2027-01-01T00:00:00Z' }, 'expires_at (there is Expires-At)'],
    [{ keyId: 'k-1', EXPIRES_AT: 0 }, 'key_id (there is keyId), expires_at (there is EXPIRES_AT)'],
  ])('for %o is refused: what is left out may be there under another spelling', (fields, named) => {
    expect(good(fields)).toEqual({ kind: 'invalid', problem: `missing: ${named}` });
  });

  test('is no other spelling where it has the right one, or says nothing', () => {
    const ends = '2027-01-01T00:00:00Z';
    for (const fields of [{ expires_at: ends, expiresAt: 1 }, { expiresAt: null }, { expires: 1, exp: 1, kid: 'k' }])
      expect(good(fields)).toMatchObject({ kind: 'verified' });
  });

  // Found by the fuzz test, KEYVERIFY_FUZZ_SEED=196927841: a length is compared, and this one cannot be.
  test.each(['client', 'tenant', 'key_id'])('is one whose %s is an object with a length of its own making', (field) => {
    expect(good({ [field]: { length: { toString: false } } })).toMatchObject({ kind: 'invalid' });
  });

  test('is not made whole by a prototype', () => {
    expect(read(JSON.parse('{"__proto__":{"valid":true,"client":"a","tenant":"b"}}')).kind).toBe('invalid');
  });

  test.each(['client', 'tenant', 'key_id'])('is one whose %s holds the key', (field) => {
    expect(good({ [field]: `x${KEY}x` })).toEqual({
      kind: 'invalid',
      problem: 'client, tenant or key id holds a secret',
    });
  });
});

describe('the end of a key', () => {
  const end = (expiresAt: unknown): unknown => {
    const verdict = good({ expires_at: expiresAt });
    return verdict.kind === 'verified' ? verdict.expiresAt : verdict;
  };
  const UNREADABLE = {
    kind: 'invalid',
    problem: 'expires_at: expected epoch seconds, or RFC 3339 with Z or an offset',
  };
  const IMPLAUSIBLE = {
    kind: 'invalid',
    problem: 'expires_at looks like milliseconds: expected epoch seconds, or RFC 3339 with Z or an offset',
  };
  const EXPIRED = { kind: 'rejected', result: { status: 'rejected', reason: 'expired' } };

  test.each([
    ['2027-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['2027-01-01t00:00:00z', '2027-01-01T00:00:00Z'],
    ['2027-01-01 00:00:00Z', '2027-01-01T00:00:00Z'],
    ['2027-01-01T00:00:00.250Z', '2027-01-01T00:00:00.250Z'],
    ['2027-01-01T02:00:00+02:00', '2027-01-01T00:00:00Z'],
    ['2026-12-31T22:30:00-01:30', '2027-01-01T00:00:00Z'],
    ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['2028-12-31T23:59:60Z', '2029-01-01T00:00:00Z'],
    ['2028-12-31t18:29:60.5-05:30', '2029-01-01T00:00:00.500Z'],
    ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('may be the RFC 3339 time %s', (text, same) => {
    expect(end(text)).toBe(Date.parse(same));
  });

  test('may be in epoch seconds, with a fraction too', () => {
    expect(end(1_800_000_000)).toBe(1_800_000_000_000);
    expect(end(1_800_000_000.5)).toBe(1_800_000_000_500);
    expect(end(253_402_300_799)).toBe(Date.parse('9999-12-31T23:59:59Z'));
  });

  test.each([
    '',
    'never',
    '2027-01-01',
    '2027-01-01T00:00:00',
    '2027-01-01T00:00Z',
    '2027-13-01T00:00:00Z',
    '2027-01-01T00:00:00.Z',
    '2027-01-01T00:00:00+0200',
    ' 2027-01-01T00:00:00Z',
    '2027-01-01T00:00:00Z ',
    '12027-01-01T00:00:00Z',
    '+002027-01-01T00:00:00Z',
    '1800000000',
    '2027-02-30T00:00:00Z',
    '2027-02-29T00:00:00Z',
    '2027-04-31T00:00:00+02:00',
    '2027-01-00T00:00:00Z',
    '2027-01-01T24:00:00Z',
    '2027-01-01T00:60:00Z',
    '2027-01-01T00:00:61Z',
    '2027-01-01T12:00:60Z',
    '2027-01-01T23:59:60-01:00',
    '2027-01-01T00:00:00+24:00',
    '2027-01-01T00:00:00+00:60',
    '9999-12-31T23:59:59-01:00',
  ])('is not to be guessed from %j', (expiresAt) => {
    expect(end(expiresAt)).toEqual(UNREADABLE);
  });

  test.each([253_402_300_800, 1_800_000_000_000])(
    'is implausible at %j: the unit is another, or it stands for never',
    (expiresAt) => {
      expect(end(expiresAt)).toEqual(IMPLAUSIBLE);
    },
  );

  test('makes a refusal of what has ended already, to the millisecond', () => {
    expect(end('2026-01-01T00:00:00Z')).toMatchObject(EXPIRED);
    expect(end('2026-01-01T00:00:00.001Z')).toBe(NOW + 1);
    for (const past of [0, -5, '1999-01-01T00:00:00Z']) expect(end(past)).toMatchObject(EXPIRED);
  });
});

describe('a refusal', () => {
  const reason = (json: unknown): unknown => {
    const verdict = read(json);
    return verdict.kind === 'rejected' ? verdict.result.reason : verdict;
  };

  test('keeps its reason, whatever it is', () => {
    expect(reason({ valid: false, reason: 'revoked' })).toBe('revoked');
    expect(reason({ valid: false, reason: 'moon_phase', client: 7 })).toBe('moon_phase');
  });

  test('stands without a reason, or with one that cannot be read', () => {
    for (const broken of [{}, { reason: '' }, { reason: 7 }, { reason: null }])
      expect(reason({ valid: false, ...broken })).toBe('rejected');
  });

  test('does not repeat the key', () => {
    expect(reason({ valid: false, reason: `no such key: ${KEY}` })).toBe('rejected');
  });

  test('has its reason kept only if it is short, since rejections are cached', () => {
    expect(reason({ valid: false, reason: 'x'.repeat(128) })).toBe('x'.repeat(128));
    expect(reason({ valid: false, reason: 'x'.repeat(129) })).toBe('rejected');
  });

  test('is frozen', () => {
    const verdict = read({ valid: false, reason: 'revoked' });
    expect(verdict).toMatchObject({ kind: 'rejected', result: { valid: false, source: 'server', reason: 'revoked' } });
    expect(verdict.kind === 'rejected' && Object.isFrozen(verdict.result)).toBe(true);
  });
});
