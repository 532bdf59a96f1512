import { describe, expect, test } from 'vitest';

import type { DecodeContext } from 'keyverify';
import { defineProtocol, type ProtocolDefinition } from 'keyverify/protocols';

import { decodeResponse } from '../../src/protocol/decode.js';
import { response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'sk-good-0123456789abcdef';
const CONTEXT: DecodeContext = { secrets: [KEY], askedAt: NOW, scope: undefined };
const VERDICT = { flag: 'valid', client: 'client', tenant: 'tenant' };
const GOOD = { valid: true, client: 'acme', tenant: 'cust-A' };
const IDENTITY = { kind: 'verified', client: 'acme', tenant: 'cust-A' };

const decode = (definition: ProtocolDefinition, status = 200) =>
  decodeResponse(defineProtocol(definition), response(status, GOOD), CONTEXT);

function problem(definition: ProtocolDefinition, status?: number): string {
  const decoded = decode(definition, status);
  if (!('failure' in decoded)) return decoded.kind;
  expect(decoded.failure.kind).toBe('invalid_response');
  return decoded.failure.message.replace('keyverify: the response of the key server is ', '');
}

describe('what a verdict function returns', () => {
  const by = (returned: unknown) => ({ verdict: () => returned as never });

  test.each<[string, object]>([
    ['expires_at: there is no such field, but expiresAt', { expires_at: '2020-01-01T00:00:00Z' }],
    ['expires: there is no such field, but expiresAt', { expires: 1 }],
    ['key_id: there is no such field, but keyId', { key_id: 'k-1' }],
    ['keyid: there is no such field, but keyId', { keyid: 'k-1' }],
    ['role: there is no such field: put it into claims', { role: 'admin' }],
    ['reason: there is no such field: put it into claims', { reason: 'revoked' }],
    ['a field: there is no such field: put it into claims', { 'line\nbreak': 1 }],
    ['client: expected a string that is not empty, got 5', { client: 5 }],
    ['tenant: expected a string that is not empty, got an empty string', { tenant: '' }],
    ['keyId: expected a string that is not empty, got null', { keyId: null }],
    ['expiresAt: expected epoch milliseconds, got a string of 20 characters', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['expiresAt: expected epoch milliseconds, got 1895733560', { expiresAt: 1_895_733_560 }],
    ['expiresAt: expected epoch milliseconds, got 1895733560000000', { expiresAt: 1_895_733_560_000_000 }],
    ['expiresAt: expected epoch milliseconds, got NaN', { expiresAt: NaN }],
    ['claims: expected an object, got an empty array', { claims: [] }],
  ])('is no verdict: %s', (said, fields) => {
    expect(problem(by({ ...IDENTITY, ...fields }))).toBe(`not a verdict: verdict() returned ${said}`);
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['an array', [IDENTITY]],
    ['an empty array', []],
    ['a promise, and has to be synchronous', Promise.resolve(IDENTITY)],
    ["kind: expected 'verified' or 'rejected', got undefined", {}],
    [`kind: expected 'verified' or 'rejected', got "valid"`, { kind: 'valid' }],
    ['reasons: there is no such field, but reason', { kind: 'rejected', reasons: 'revoked' }],
    ['claims: there is no such field', { kind: 'rejected', claims: {} }],
    ['kind: there is no such field', { ...IDENTITY, failure: { kind: 'server_error', message: 'down' } }],
    ['failure: expected an object of kind and message, got null', { failure: null }],
    ['failure: expected an object of kind and message, got an object', { failure: { kind: 'x' } }],
    [
      "failure.kind: expected 'server_error', 'rate_limited', 'misconfigured' or 'invalid_response', got a string of 4 characters",
      { failure: { kind: 'down', message: 'x' } },
    ],
  ])('is no verdict: %s', (said, returned) => {
    expect(problem({ name: 'ours', ...by(returned) })).toContain(
      `not a verdict of protocol "ours": verdict() returned ${said}`,
    );
  });

  test('is no verdict if it cannot be looked at', () => {
    const broken = {
      get kind() {
        return expect.fail('no');
      },
    };
    expect(problem(by(broken))).toBe('keyverify: the key server answered with something the protocol could not read');
  });

  test('is one with every field that there is, or without those that may be left out', () => {
    const whole = { ...IDENTITY, keyId: 'k-1', expiresAt: NOW + 1, claims: { role: 'admin' } };
    expect(decode(by(whole))).toMatchObject({ keyId: 'k-1', expiresAt: NOW + 1, claims: { role: 'admin' } });
    const without = { ...IDENTITY, keyId: undefined, expiresAt: undefined, claims: undefined, role: undefined };
    expect(decode(by(without))).toMatchObject({ kind: 'verified', claims: {} });
    expect(decode(by({ kind: 'rejected', reason: 'revoked', ambiguous: true }))).toMatchObject({
      result: { reason: 'revoked' },
      ambiguous: true,
    });
    expect(decode(by({ failure: { kind: 'server_error', message: 'its database is down' } }))).toMatchObject({
      failure: { kind: 'server_error', message: 'keyverify: its database is down' },
    });
  });

  test.each<[string, string, string?]>([
    ['keyverify: the database is down', 'the database is down'],
    ['keyverify: protocol "ours": the database is down', 'the database is down', 'ours'],
    ['keyverify: protocol "ours": keyverify is down', 'keyverify is down', 'ours'],
    ['keyverify: down', 'keyverify: down', 'ours'],
    ['keyverify: protocol "ours": no [redacted]', `no ${KEY}`, 'ours'],
  ])('gives a failure a message with a prefix: %s', (said, message, name) => {
    const failure = Object.freeze({ kind: 'rate_limited', message, retryAfterMs: 5 });
    expect(decode({ name, ...by({ failure }) })).toMatchObject({
      failure: { kind: 'rate_limited', message: said, retryAfterMs: 5 },
    });
  });
});

describe('a function that throws is named', () => {
  const fails = (): never => {
    throw new TypeError(`no ${KEY} here`);
  };

  test.each<[string, ProtocolDefinition, number?]>([
    ['verdict', { verdict: fails }],
    ['verdict.flag', { verdict: { ...VERDICT, flag: fails } }],
    ['verdict.identity', { verdict: { client: 'client', tenant: 'tenant', identity: fails } }],
    ['verdict.client', { verdict: { ...VERDICT, client: fails } }],
    ['verdict.tenant', { verdict: { ...VERDICT, tenant: fails } }],
    ['verdict.keyId', { verdict: { ...VERDICT, keyId: fails } }],
    ['verdict.expires.at', { verdict: { ...VERDICT, expires: { at: fails, unit: 's' } } }],
    ['verdict.claims', { verdict: { ...VERDICT, claims: fails } }],
    ['verdict.reason', { verdict: { ...VERDICT, reason: fails }, rejects: [{ status: 404, ambiguous: true }] }, 404],
    ['rejects.1.when', { verdict: VERDICT, rejects: [{ status: 403, ambiguous: true }, { status: 404, when: fails }] }, 404], // prettier-ignore
  ])('%s', (place, definition, status) => {
    expect(problem(definition, status)).toBe(`not a verdict: ${place}() threw: no [redacted] here`);
    expect(problem({ name: 'ours', ...definition }, status)).toBe(
      `not a verdict of protocol "ours": ${place}() threw: no [redacted] here`,
    );
  });
});

describe('the end of a key', () => {
  const ends = (unit: 'iso' | 's' | 'ms' | 'iso-or-s', exp: unknown): string => {
    const protocol = defineProtocol({ verdict: { ...VERDICT, expires: { at: 'exp', unit } } });
    const decoded = decodeResponse(protocol, response(200, { ...GOOD, exp }), CONTEXT);
    return 'failure' in decoded ? decoded.failure.message.replace(/.+wrong: /, '') : decoded.kind;
  };

  test.each([
    ['ms', 1_895_733_560, 'exp: expected epoch milliseconds, got 1895733560'],
    ['s', 1_895_733_560_000, 'exp: expected epoch seconds, got 1895733560000'],
    ['iso', 1_895_733_560, 'exp: expected RFC 3339 text, got 1895733560'],
    ['iso-or-s', 'soon', 'exp: expected RFC 3339 text or epoch seconds, got a string of 4 characters'],
  ] as const)('in another unit than %s is named with the unit and the value', (unit, exp, said) => {
    expect(ends(unit, exp)).toBe(said);
  });
});

test('a typo is named with the field that is there', () => {
  const said = (client: string): string => {
    const protocol = defineProtocol({ verdict: { ...VERDICT, client } });
    const body = { ...GOOD, owner: { login: 'acme', 'lo\ngn': 'acme', id: 7 } };
    const decoded = decodeResponse(protocol, response(200, body), CONTEXT);
    return 'failure' in decoded ? decoded.failure.message.replace(/.+wrong: /, '') : decoded.kind;
  };
  expect(said('owner.logn')).toBe('owner.logn (there is login)');
  expect(said('owner.it')).toBe('owner.it');
  expect(said('owner.id')).toBe('owner.id: expected a string, got a number');
  expect(said('valid.logn')).toBe('valid.logn');
});
