import { describe, expect, test } from 'vitest';

import { VERSION } from 'keyverify';

import { decodeResponse } from '../../src/protocol/decode.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'sk-good-0123456789abcdef';
const SECRETS = [KEY, 'service-token-0123456789'];
const JSON_TYPE = 'application/json';
const decode = (given: WireResponse, secrets: readonly string[] = SECRETS, askedAt = NOW) =>
  decodeResponse(defaultProtocol, given, { secrets, askedAt, scope: undefined });

describe('a question', () => {
  const url = 'https://admin.test/verify';

  test('is what the contract says', async () => {
    const { needsBody, ...request } = await defaultProtocol.encode({
      url,
      token: 'token-1',
      key: KEY,
      scope: 'cust-A',
    });
    expect(request).toEqual({
      url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'accept-encoding': 'identity',
        'x-service-token': 'token-1',
        'user-agent': `keyverify/${VERSION}`,
      },
      body: `{"key":"${KEY}","scope":"cust-A"}`,
    });
    expect([200, 201, 204, 400, 401, 500].filter(needsBody)).toEqual([200]);
  });

  test('leaves the scope out where there is none', async () => {
    const { body } = await defaultProtocol.encode({ url, token: 'token-1', key: 'a"b', scope: undefined });
    expect(body).toBe('{"key":"a\\"b"}');
  });
});

describe('an answer with status 200', () => {
  const kind = (body: unknown, headers: Record<string, string>): unknown => {
    const decoded = decode(response(200, body, headers));
    return 'failure' in decoded ? decoded.failure : decoded.kind;
  };

  test.each([
    JSON_TYPE,
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/problem+json',
    'application/vnd.acme.v1+json;q=1',
  ])('is a verdict if it is JSON, such as %s', (type) => {
    expect(kind(GOOD_BODY, { 'content-type': type })).toBe('verified');
  });

  test.each([
    'text/html',
    'text/plain; charset=utf-8',
    'text/json',
    'text/plain; was=application/json',
    'application/jsonx',
    'application/+json',
    '',
  ])('is none if it says it is %j', (type) => {
    expect(kind(GOOD_BODY, { 'content-type': type })).toMatchObject({
      kind: 'invalid_response',
      message: `keyverify: the key server answered with content-type ${type || 'none'}, not application/json`,
    });
  });

  test('is shown whole or not at all, since a part of a key would not be recognized', () => {
    const key = 'sk-0123456789abcdef';
    const message = (type: string) => String(Reflect.get(Object(kind(GOOD_BODY, { 'content-type': type })), 'message'));
    const longest = `text/plain; ${'x'.repeat(52)}`;
    expect(message(longest)).toBe(
      `keyverify: the key server answered with content-type ${longest}, not application/json`,
    );
    expect(message(`${longest}x`)).toBe(
      'keyverify: the key server answered with content-type too long, not application/json',
    );
    expect(message(`text/plain; ${'x'.repeat(40)}${key}`)).not.toContain('sk-');
  });

  test('is none if it does not say what it is', () => {
    expect(kind(GOOD_BODY, {})).toMatchObject({ message: expect.stringContaining('content-type none, not') as string });
  });

  test.each(['', '{"valid":true,"client":"acme","ten', '<html>', Buffer.from([0x22, 0xff, 0x22])])(
    'is none if its JSON is broken (%#)',
    (body) => {
      expect(kind(body, { 'content-type': JSON_TYPE })).toMatchObject({
        kind: 'invalid_response',
        message: 'keyverify: the key server answered with broken JSON',
      });
    },
  );

  test('is none if it has the wrong shape, and the message says where', () => {
    expect(kind({ valid: true, client: 'acme' }, { 'content-type': JSON_TYPE })).toMatchObject({
      kind: 'invalid_response',
      message: 'keyverify: the response of the key server is not a verdict: missing or wrong: tenant',
    });
  });

  test('is a refusal as well as a good verdict', () => {
    expect(decode(response(200, { valid: false, reason: 'revoked' }))).toEqual({
      kind: 'rejected',
      result: { status: 'rejected', valid: false, source: 'server', reason: 'revoked' },
      freshness: { maxAgeMs: Infinity, noStore: false, noStale: false },
      ambiguous: false,
    });
  });

  test('counts the end of a key from the moment of asking', () => {
    const ends = { ...GOOD_BODY, expires_at: NOW / 1_000 + 1 };
    expect(decode(response(200, ends), SECRETS, NOW)).toMatchObject({ kind: 'verified' });
    expect(decode(response(200, ends), SECRETS, NOW + 1_000)).toMatchObject({ kind: 'rejected' });
  });

  test('has echoes of both secrets taken out', () => {
    const [key, token] = SECRETS;
    expect(decode(response(200, { ...GOOD_BODY, key, token }), SECRETS, NOW)).toMatchObject({
      claims: { key: '[redacted]', token: '[redacted]' },
    });
  });
});

describe('an answer with another status', () => {
  const says = (status: number, retryAfter?: string): unknown =>
    decode(response(status, GOOD_BODY, retryAfter === undefined ? {} : { 'retry-after': retryAfter }));
  const REDIRECT = 'the key server answered with a redirect, which is not followed: check verifyUrl';

  test.each([
    [500, 'server_error', 'the key server answered 500'],
    [503, 'server_error', 'the key server answered 503'],
    [599, 'server_error', 'the key server answered 599'],
    [600, 'invalid_response', 'the key server answered 600 instead of 200'],
    [999, 'invalid_response', 'the key server answered 999 instead of 200'],
    [429, 'rate_limited', 'the key server answered 429: it limits our rate'],
    [401, 'misconfigured', 'the key server answered 401: check serviceToken'],
    [403, 'misconfigured', 'the key server answered 403: check serviceToken'],
    [400, 'misconfigured', 'the key server answered 400: check verifyUrl and protocol'],
    [404, 'misconfigured', 'the key server answered 404: check verifyUrl'],
    [428, 'misconfigured', 'the key server answered 428: check verifyUrl and protocol'],
    [499, 'misconfigured', 'the key server answered 499: check verifyUrl and protocol'],
    [300, 'misconfigured', REDIRECT],
    [307, 'misconfigured', REDIRECT],
    [399, 'misconfigured', REDIRECT],
    [0, 'invalid_response', 'the key server answered 0 instead of 200'],
    [199, 'invalid_response', 'the key server answered 199 instead of 200'],
    [201, 'invalid_response', 'the key server answered 201 instead of 200'],
    [204, 'invalid_response', 'the key server answered 204 instead of 200'],
    [299, 'invalid_response', 'the key server answered 299 instead of 200'],
  ])('such as %i is %s, whatever its body says', (status, kind, message) => {
    expect(says(status)).toMatchObject({ failure: { kind, status, message: `keyverify: ${message}` } });
  });

  test('says when to come back', () => {
    expect(says(503, '3')).toMatchObject({ failure: { retryAfterMs: 3_000 } });
    expect(says(429, 'Thu, 01 Jan 2026 00:00:02 GMT')).toMatchObject({ failure: { retryAfterMs: 2_000 } });
  });

  test('asks for another token where ours was refused, and nowhere else', () => {
    expect(says(401)).toMatchObject({ failure: { tokenRefused: true } });
    for (const status of [403, 404, 500]) expect(says(status)).not.toHaveProperty('failure.tokenRefused');
  });
});

test('a verdict that is not UTF-8 is none', () => {
  const body = Buffer.from('{"valid":true,"client":"caf\xe9","tenant":"cust-A"}', 'latin1');
  expect(decode(response(200, body))).toMatchObject({ failure: { kind: 'invalid_response' } });
});
