import { describe, expect, test, vi } from 'vitest';

import { VERSION } from 'keyverify';

import { decode, encode } from '../../src/protocol/default.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'sk-good-0123456789abcdef';
const SECRETS = [KEY, 'service-token-0123456789'];
const JSON_TYPE = 'application/json';

describe('a question', () => {
  test('is what the contract says', () => {
    expect(encode('https://admin.test/verify', 'token-1', KEY, 'cust-A')).toEqual({
      url: 'https://admin.test/verify',
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'x-service-token': 'token-1',
        'user-agent': `keyverify/${VERSION}`,
      },
      body: `{"key":"${KEY}","scope":"cust-A"}`,
    });
  });

  test('leaves the scope out where there is none', () => {
    expect(encode('https://admin.test/verify', 'token-1', 'a"b', undefined).body).toBe('{"key":"a\\"b"}');
  });
});

describe('an answer with status 200', () => {
  const kind = (body: unknown, headers: Record<string, string>): unknown => {
    const answer = decode(response(200, body, headers), SECRETS, NOW);
    return 'kind' in answer ? answer : answer.verdict.kind;
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
    'text/json',
    'text/plain; was=application/json',
    'application/jsonx',
    'application/+json',
    '',
  ])('is none if it says it is %j', (type) => {
    expect(kind(GOOD_BODY, { 'content-type': type })).toEqual({
      kind: 'invalid_response',
      message: 'keyverify: the key server answered 200 with something that is not JSON',
      retryAfterMs: undefined,
    });
  });

  test('is none if it does not say what it is', () => {
    expect(kind(GOOD_BODY, {})).toMatchObject({ message: expect.stringContaining('not JSON') as string });
  });

  test.each(['', '{"valid":true,"client":"acme","ten', '<html>', Buffer.from([0x22, 0xff, 0x22])])(
    'is none if its JSON is broken (%#)',
    (body) => {
      expect(kind(body, { 'content-type': JSON_TYPE })).toEqual({
        kind: 'invalid_response',
        message: 'keyverify: the key server answered 200 with broken JSON',
        retryAfterMs: undefined,
      });
    },
  );

  test('is none if it has the wrong shape, and the message says where', () => {
    expect(kind({ valid: true, client: 'acme' }, { 'content-type': JSON_TYPE })).toEqual({
      kind: 'invalid_response',
      message: 'keyverify: the key server answered 200 with no verdict: missing or wrong: tenant',
      retryAfterMs: undefined,
    });
  });

  test('is a refusal as well as a good verdict', () => {
    expect(decode(response(200, { valid: false, reason: 'revoked' }), SECRETS, NOW)).toEqual({
      verdict: { kind: 'rejected', result: { valid: false, source: 'server', reason: 'revoked' } },
      maxAgeMs: Infinity,
    });
  });

  test('counts the end of a key from the moment of asking', () => {
    const ends = { ...GOOD_BODY, expires_at: NOW / 1_000 + 1 };
    expect(decode(response(200, ends), SECRETS, NOW)).toMatchObject({ verdict: { kind: 'verified' } });
    expect(decode(response(200, ends), SECRETS, NOW + 1_000)).toMatchObject({ verdict: { kind: 'rejected' } });
  });

  test('has echoes of both secrets taken out', () => {
    const [key, token] = SECRETS;
    expect(decode(response(200, { ...GOOD_BODY, key, token }), SECRETS, NOW)).toMatchObject({
      verdict: { claims: { key: '[redacted]', token: '[redacted]' } },
    });
  });
});

describe('Cache-Control', () => {
  test.each([
    [undefined, Infinity],
    ['', Infinity],
    ['public', Infinity],
    ['max-age=10', 10_000],
    ['private, max-age=10', 10_000],
    ['MAX-AGE=10', 10_000],
    ['max-age="10"', 10_000],
    ['max-age=0', 0],
    ['max-age=20, max-age=10,  max-age=30', 10_000],
    ['max-age=99999999', 99_999_999_000],
    ['s-maxage=5', Infinity],
    ['no-store', 'no-store'],
    ['max-age=10, No-Store', 'no-store'],
    ['no-cache, no-store', 'no-store'],
    ['no-cache', 0],
    ['no-cache="set-cookie", max-age=10', 0],
    ['max-age=10,no-cache', 0],
    // What can't be read counts as the shortest.
    ['max-age', 0],
    ['max-age=', 0],
    ['max-age=-1', 0],
    ['max-age=1.5', 0],
    ['max-age=10s', 0],
    ['max-age = 10', 0],
    ['max-age=10x, max-age=20', 0],
    ['max-age=x max-age=20', 0],
  ] as const)('%j lets a verdict be kept for %j', (cacheControl, maxAgeMs) => {
    const headers = { 'content-type': JSON_TYPE, ...(cacheControl !== undefined && { 'cache-control': cacheControl }) };
    expect(decode(response(200, GOOD_BODY, headers), SECRETS, NOW)).toMatchObject({ maxAgeMs });
  });
});

describe('an answer with another status', () => {
  const says = (status: number, retryAfter?: string): unknown =>
    decode(response(status, GOOD_BODY, retryAfter === undefined ? {} : { 'retry-after': retryAfter }), SECRETS, NOW);
  const REDIRECT = 'the key server answered with a redirect, which is not followed: check verifyUrl';

  test.each([
    [500, 'server_error', 'the key server answered 500'],
    [503, 'server_error', 'the key server answered 503'],
    [599, 'server_error', 'the key server answered 599'],
    [429, 'rate_limited', 'the key server answered 429: it limits our rate'],
    [401, 'misconfigured', 'the key server answered 401: check serviceToken'],
    [403, 'misconfigured', 'the key server answered 403: check serviceToken'],
    [400, 'misconfigured', 'the key server answered 400: check verifyUrl'],
    [404, 'misconfigured', 'the key server answered 404: check verifyUrl'],
    [428, 'misconfigured', 'the key server answered 428: check verifyUrl'],
    [499, 'misconfigured', 'the key server answered 499: check verifyUrl'],
    [300, 'misconfigured', REDIRECT],
    [307, 'misconfigured', REDIRECT],
    [399, 'misconfigured', REDIRECT],
    [0, 'invalid_response', 'the key server answered 0 instead of 200'],
    [199, 'invalid_response', 'the key server answered 199 instead of 200'],
    [201, 'invalid_response', 'the key server answered 201 instead of 200'],
    [204, 'invalid_response', 'the key server answered 204 instead of 200'],
    [299, 'invalid_response', 'the key server answered 299 instead of 200'],
  ])('such as %i is %s, whatever its body says', (status, kind, message) => {
    expect(says(status)).toEqual({ kind, message: `keyverify: ${message}`, retryAfterMs: undefined });
  });

  test('says when to come back where it is for a while only', () => {
    expect(says(503, '3')).toMatchObject({ retryAfterMs: 3_000 });
    expect(says(429, 'Thu, 01 Jan 2026 00:00:02 GMT')).toMatchObject({ retryAfterMs: 2_000 });
    for (const status of [401, 404, 307, 204]) expect(says(status, '3')).toMatchObject({ retryAfterMs: undefined });
  });
});

test('a verdict that is not UTF-8 is none', () => {
  const body = Buffer.from('{"valid":true,"client":"caf\xe9","tenant":"cust-A"}', 'latin1');
  expect(decode(response(200, body), [], 0)).toMatchObject({ kind: 'invalid_response' });
});

test('a verdict that is not UTF-8 is none at the very first reading, too', async () => {
  vi.resetModules();
  const { decode: decodeFirst } = await import('../../src/protocol/default.js');
  const body = Buffer.from('{"valid":true,"client":"caf\xe9","tenant":"cust-A"}', 'latin1');
  expect(decodeFirst(response(200, body), [], 0)).toMatchObject({ kind: 'invalid_response' });
});
