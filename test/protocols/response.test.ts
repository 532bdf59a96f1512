import { describe, expect, test } from 'vitest';

import type { DecodeContext } from 'keyverify';
import { defineProtocol, introspection, type ProtocolDefinition, type VerdictDefinition } from 'keyverify/protocols';

import { decodeResponse } from '../../src/protocol/decode.js';
import { response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const CONTEXT: DecodeContext = { secrets: ['sk-good-0123456789abcdef'], askedAt: NOW, scope: undefined };
const VERDICT = { flag: 'valid', client: 'client', tenant: 'tenant' };
const GOOD = { valid: true, client: 'acme', tenant: 'cust-A' };

const decode = (definition: ProtocolDefinition, status: number, body?: unknown) =>
  decodeResponse(defineProtocol(definition), response(status, body), CONTEXT);
const read = (verdict: VerdictDefinition, body: unknown) => decode({ verdict }, 200, body);
const problem = (verdict: VerdictDefinition, body: unknown): string => {
  const decoded = read(verdict, body);
  return 'failure' in decoded
    ? decoded.failure.message.replace('keyverify: the response of the key server is ', '')
    : '';
};

describe('a flag', () => {
  test.each(['true', 1, 'yes', {}, [], null, undefined])('that is %j is no verdict', (valid) => {
    expect(read(VERDICT, { ...GOOD, valid })).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test('may be picked by a function, which has to say exactly true or false as well', () => {
    const by = (flag: unknown) => read({ ...VERDICT, flag: () => flag }, GOOD);
    expect(by(true)).toMatchObject({ kind: 'verified' });
    expect(by(false)).toMatchObject({ kind: 'rejected' });
    for (const flag of [1, 'true', {}, undefined])
      expect(by(flag)).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test('is not inherited', () => {
    expect(problem({ ...VERDICT, flag: 'constructor.name' }, GOOD)).toBe(
      'not a verdict: missing or wrong: constructor.name',
    );
    expect(read({ ...VERDICT, flag: '__proto__.valid' }, JSON.parse('{"__proto__":{"valid":true},"client":"a","tenant":"b"}'))).toMatchObject({ kind: 'verified', claims: {} }); // prettier-ignore
  });
});

describe('an identity', () => {
  const OWNER = { identity: 'owner', client: 'owner.id', tenant: 'owner.org' };

  test('is an object for a good key, and null for a bad one', () => {
    expect(read(OWNER, { owner: { id: 'acme', org: 'cust-A' }, plan: 'pro' })).toMatchObject({
      kind: 'verified',
      claims: { owner: { id: 'acme' }, plan: 'pro' },
    });
    expect(read(OWNER, { owner: null })).toMatchObject({ kind: 'rejected', result: { reason: 'rejected' } });
  });

  test.each([undefined, false, true, '', 'acme', [], [{ id: 'acme', org: 'cust-A' }]])('is not %j', (owner) => {
    expect(read(OWNER, { owner })).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test.each<object>([
    { valid: 'false' },
    { is_valid: 0 },
    { Active: null },
    { authorized: 'no' },
    { revoked: true },
    { revokedAt: '2025-01-01T00:00:00Z' },
    { disabled: 'true' },
    { is_deleted: 1 },
    { error: 'database is down' },
    { errors: [{ code: 'NOT_FOUND' }] },
    { expired: true },
  ])('is not what says of itself that the key is bad, or may be: %j', (said) => {
    const whole = { identity: '.', client: 'id', tenant: 'customer' };
    expect(read(whole, { id: 'acme', customer: 'cust-A', ...said })).toMatchObject({
      failure: { kind: 'invalid_response' },
    });
    expect(read(OWNER, { owner: { id: 'acme', org: 'cust-A', ...said } })).toMatchObject({
      failure: { kind: 'invalid_response' },
    });
  });

  test.each<object>([
    { valid: true, active: true },
    { revoked: false, revoked_at: null, error: '', errors: null },
    { validity: 'long', activity: 1, expires_on: '2030-01-01', blocklist: [] },
  ])('is what says that it is good, or nothing: %j', (said) => {
    expect(read(OWNER, { owner: { id: 'acme', org: 'cust-A', ...said } })).toMatchObject({ kind: 'verified' });
  });

  test('may be the whole response', () => {
    const whole = { identity: '.', client: 'id', tenant: 'id' };
    expect(read(whole, { id: 'acme', plan: 'pro' })).toMatchObject({
      client: 'acme',
      tenant: 'acme',
      claims: { plan: 'pro' },
    });
    for (const body of ['null', '[]', '7']) expect(problem(whole, body)).toBe('not a verdict: not a JSON object');
  });

  test.each(['valid', 'active', 'isActive', 'success'])(
    'that says %s: false does not verify: it has a flag',
    (flag) => {
      const whole = { identity: '.', client: 'id', tenant: 'id' };
      expect(read(whole, { id: 'acme', [flag]: false })).toMatchObject({ failure: { kind: 'invalid_response' } });
      expect(read(whole, { id: 'acme', [flag]: true })).toMatchObject({ kind: 'verified' });
    },
  );
});

describe('what is picked', () => {
  const DEEP: VerdictDefinition = {
    flag: 'data.ok',
    client: 'data.owner.id',
    tenant: (json) => (json as { data: { org: unknown } }).data.org,
    keyId: 'data.id',
    expires: { at: 'data.ends', unit: 'ms' },
    claims: 'data',
  };
  const DATA = { ok: true, owner: { id: 'acme' }, org: 'cust-A', id: 'k-1', ends: 1_800_000_000_000, plan: 'pro' };

  test('may be anywhere, and claims are what is left where they are', () => {
    expect(read(DEEP, { data: DATA })).toMatchObject({
      kind: 'verified',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'k-1',
      expiresAt: 1_800_000_000_000,
    });
    const decoded = read(DEEP, { data: DATA });
    expect('claims' in decoded && decoded.claims).toEqual({ owner: { id: 'acme' }, org: 'cust-A', plan: 'pro' });
  });

  test('may be nothing for key id, end and claims', () => {
    expect(read(DEEP, { data: { ...DATA, id: null, ends: null } })).toMatchObject({
      keyId: undefined,
      expiresAt: undefined,
    });
    for (const meta of [null, undefined])
      expect(read({ ...VERDICT, claims: 'meta' }, { ...GOOD, meta })).toMatchObject({ claims: {} });
    expect(read({ ...VERDICT, claims: () => ({ a: 1 }) }, GOOD)).toMatchObject({ claims: { a: 1 } });
  });

  test('is named where it is missing or wrong, together with what is like it, and is never guessed', () => {
    expect(problem(VERDICT, { isValid: true, clientId: 'acme', tenant: 7 })).toBe(
      'not a verdict: missing or wrong: valid (there is isValid); client (there is clientId); tenant: expected a string, got a number',
    );
    expect(problem(DEEP, { data: { ...DATA, owner: { user_id: 7 }, org: '', id: 7, ends: 'never' } })).toBe(
      'not a verdict: missing or wrong: data.owner.id (there is user_id); tenant (picked by a function): expected a string, got an empty string; data.id: expected a string, got a number; data.ends: expected epoch milliseconds, got a string of 5 characters',
    );
    expect(problem({ ...VERDICT, claims: 'meta' }, { ...GOOD, meta: [] })).toBe(
      'not a verdict: missing or wrong: meta',
    );
    expect(problem({ ...VERDICT, flag: 'ok' }, { ...GOOD, ok: 'true' })).toBe(
      'not a verdict: missing or wrong: ok: expected true or false, got a string',
    );
    expect(problem({ ...VERDICT, flag: () => 1 }, GOOD)).toBe(
      'not a verdict: missing or wrong: good (picked by a function): expected true or false, got a number',
    );
  });

  test('is named once where it is read for two fields', () => {
    expect(problem({ flag: 'valid', client: 'user', tenant: 'user' }, { valid: true, user: 7 })).toBe(
      'not a verdict: missing or wrong: user: expected a string, got a number',
    );
  });

  test('is named together with the protocol, if that has a name', () => {
    for (const [json, problem] of [
      [{ valid: true }, 'missing or wrong: client; tenant'],
      [[], 'not a JSON object'],
    ] as const)
      expect(decode({ name: 'ours', verdict: VERDICT }, 200, json)).toMatchObject({
        failure: {
          message: `keyverify: the response of the key server is not a verdict of protocol "ours": ${problem}`,
        },
      });
  });

  test('by a function that throws is no verdict', () => {
    expect(read(DEEP, { data: null })).toMatchObject({ failure: { kind: 'invalid_response' } });
    expect(read({ ...DEEP, flag: () => true }, {})).toMatchObject({
      failure: {
        kind: 'invalid_response',
        message: expect.stringMatching(/not a verdict: verdict\.tenant\(\) threw: Cannot read/) as string,
      },
    });
  });
});

describe('the end of a key', () => {
  const S = 1_800_000_000;
  const ISO = '2027-01-15T08:00:00Z';
  const end = (unit: 'iso' | 's' | 'ms' | 'iso-or-s', at: unknown): unknown => {
    const decoded = read({ ...VERDICT, expires: { at: 'ends', unit } }, { ...GOOD, ends: at });
    return 'expiresAt' in decoded ? decoded.expiresAt : 'failure' in decoded ? decoded.failure.kind : decoded.kind;
  };

  test('is in the unit that is said, and in no other', () => {
    expect([end('iso', ISO), end('s', S), end('ms', S * 1_000), end('iso-or-s', S), end('iso-or-s', ISO)]).toEqual(
      Array.from({ length: 5 }, () => S * 1_000),
    );
    const wrong = [end('iso', S), end('s', ISO), end('ms', ISO), end('s', S * 1_000), end('ms', S), end('iso', 'soon')];
    expect(wrong).toEqual(wrong.map(() => 'invalid_response'));
    for (const unit of ['iso', 's', 'ms', 'iso-or-s'] as const)
      for (const at of [true, {}, [], '']) expect(end(unit, at)).toBe('invalid_response');
    expect([end('s', 0), end('iso', '1970-01-01T00:00:00Z'), end('ms', 0)]).toEqual([
      'rejected',
      'rejected',
      'invalid_response',
    ]);
  });
});

describe('a reason', () => {
  const REASON = { ...VERDICT, reason: 'error.code', reasons: { GONE: 'revoked' }, faults: ['DB_DOWN'] };
  const reason = (code: unknown, valid = false) => read(REASON, { ...GOOD, valid, error: { code } });

  test('is called by our name for it, or stays as it is', () => {
    expect(reason('GONE')).toMatchObject({ result: { reason: 'revoked' } });
    expect(reason('ODD')).toMatchObject({ result: { reason: 'ODD' } });
    expect(reason('constructor')).toMatchObject({ result: { reason: 'constructor' } });
    expect(reason(7)).toMatchObject({ result: { reason: 'rejected' } });
  });

  test('that is a fault of the key server is no verdict, whatever the flag says', () => {
    for (const valid of [true, false])
      expect(reason('DB_DOWN', valid)).toEqual({
        failure: {
          kind: 'server_error',
          message: 'keyverify: the key server reports a fault of its own: DB_DOWN',
          status: undefined,
          retryAfterMs: undefined,
        },
      });
  });
});

describe('a status', () => {
  const verdict = { ...VERDICT, reason: 'why', faults: ['DB_DOWN'] };
  const definition: ProtocolDefinition = {
    verdict,
    accepts: [200, 201],
    rejects: [
      { status: 404, when: (json) => (json as { code: string }).code === 'no_key', reason: 'unknown_key' },
      { status: 401, when: (json) => (json as { code: string }).code === 'bad_key' },
      { status: 403, ambiguous: true },
      { status: 429, when: (json) => (json as { code: string }).code === 'key_limit' },
    ],
  };

  test('of a verdict is one of those that are accepted', () => {
    expect(decode(definition, 201, GOOD)).toMatchObject({ kind: 'verified' });
    expect(decode(definition, 202, GOOD)).toMatchObject({ failure: { kind: 'invalid_response', status: 202 } });
  });

  test('rejects a key where its rule says so', () => {
    expect(decode(definition, 404, { code: 'no_key' })).toMatchObject({
      result: { reason: 'unknown_key' },
      ambiguous: false,
    });
    expect(decode(definition, 401, { code: 'bad_key', why: 'revoked' })).toMatchObject({
      result: { reason: 'revoked' },
    });
    expect(decode(definition, 403, { why: 'blocked' })).toMatchObject({
      result: { reason: 'blocked' },
      ambiguous: true,
    });
    expect(decode(definition, 403, '<html>')).toMatchObject({ result: { reason: 'rejected' }, ambiguous: true });
    expect(decode(definition, 429, { code: 'key_limit' })).toMatchObject({ result: { reason: 'rate_limited' } });
  });

  test('is a failure like any other where its rule does not say so', () => {
    expect(decode(definition, 404, { code: 'no_route' })).toMatchObject({ failure: { kind: 'misconfigured' } });
    expect(decode(definition, 404, '<html>')).toMatchObject({ failure: { kind: 'misconfigured' } });
    expect(decode(definition, 401, { code: 'bad_token' })).toMatchObject({ failure: { tokenRefused: true } });
    expect(decode(definition, 429, { code: 'busy' })).toMatchObject({ failure: { kind: 'rate_limited' } });
    expect(decode(definition, 404, 'null')).toMatchObject({ failure: { kind: 'invalid_response' } });
    const truthy = { ...definition, rejects: [{ status: 404, when: () => 'yes' as never }] };
    expect(decode(truthy, 404, {})).toMatchObject({ failure: { kind: 'misconfigured' } });
  });

  test('of credentials that are refused names the option to check', () => {
    const message = (given: ProtocolDefinition, status: number): string => {
      const decoded = decode(given, status);
      return 'failure' in decoded ? decoded.failure.message.replace(/.+answered /, '') : decoded.kind;
    };
    expect(message({ verdict: VERDICT }, 401)).toBe('401: check serviceToken');
    expect(message({ verdict: VERDICT, auth: 'none' }, 401)).toBe('401: check auth');
    expect(message({ verdict: VERDICT, auth: 'none' }, 403)).toBe('403: check auth');
    expect(message(introspection({ auth: 'bearer', tenant: 'org' }).definition, 401)).toBe('401: check serviceToken');
  });

  test('rejects no key where the key server reports its own fault', () => {
    expect(decode(definition, 403, { why: 'DB_DOWN' })).toMatchObject({ failure: { kind: 'server_error' } });
  });

  test('has its body read only where that matters', () => {
    const needs = async (given: ProtocolDefinition) => {
      const { needsBody } = await defineProtocol(given).encode({
        url: 'https://a.test',
        key: 'k',
        token: '',
        scope: undefined,
      });
      return [200, 201, 400, 401, 403, 404, 500].filter(needsBody);
    };
    return Promise.all([
      expect(needs(definition)).resolves.toEqual([200, 201, 401, 403, 404]),
      expect(needs({ verdict: VERDICT, rejects: [{ status: 401, ambiguous: true }] })).resolves.toEqual([200]),
    ]);
  });
});

test('a verdict may be read by a function, whose answer is checked like any other', () => {
  const OWNER = { client: 'acme', tenant: 'cust-A' };
  const by = (verdict: ProtocolDefinition['verdict'], status = 200) =>
    decode({ verdict, rejects: [{ status: 404, ambiguous: true }] }, status, [OWNER]);
  expect(by((json) => ({ kind: 'verified', ...(json as [typeof OWNER])[0] }))).toMatchObject({
    client: 'acme',
    claims: {},
  });
  expect(by(() => ({ kind: 'rejected', reason: 'revoked' }))).toMatchObject({ result: { reason: 'revoked' } });
  expect(by(() => ({ kind: 'rejected' }), 404)).toMatchObject({ result: { reason: 'rejected' }, ambiguous: true });
  expect(by(() => true as never)).toMatchObject({ failure: { kind: 'invalid_response' } });
  expect(by(() => expect.fail('no'))).toMatchObject({ failure: { kind: 'invalid_response' } });
});

describe('what may be left out', () => {
  const PLACES = { flag: 'ok', client: 'key.owner', tenant: 'key.owner', keyId: 'key.id' } as const;
  const ends = { ...PLACES, expires: { at: 'key.expires_at', unit: 'iso-or-s' } } as const;
  const answer = (fields: object) => ({ ok: true, key: { owner: 'acme', ...fields } });

  test('is no verdict where it is there under another spelling', () => {
    expect(problem(ends, answer({ expiresAt: 1 }))).toBe(
      'not a verdict: missing or wrong: key.expires_at (there is expiresAt)',
    );
    expect(problem(ends, answer({ ID: 'k-1', expires_at: null, 'expires-at': 1 }))).toContain('key.id; key.expires_at');
  });

  test('is left out where it is nowhere, empty, or picked by a function', () => {
    expect(read(ends, answer({ expiresAt: null, expiry: 1 }))).toMatchObject({
      kind: 'verified',
      expiresAt: undefined,
    });
    const picked = { ...ends, expires: { at: () => undefined, unit: 's' } } as const;
    expect(read(picked, answer({ expiresAt: 1 }))).toMatchObject({ kind: 'verified' });
  });
});
