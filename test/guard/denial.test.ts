import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { FailureKind } from '../../src/core/failure.js';
import { DENIALS, denialTypeOf, headersOf, problemDetails, reasonOf } from '../../src/guard/denial.js';
import { failedClosed, rejected } from './verifiers.js';

const answerTo = (result: Parameters<typeof denialTypeOf>[0]) => {
  const type = denialTypeOf(result);
  return { ...problemDetails(type, 'id-1', reasonOf(result, 'sk-1')), headers: headersOf(type, 'orders', result) };
};

describe('the table from results to answers', () => {
  it.each([
    ['missing_key', 401, 'missing-key', 'Bearer realm="orders"'],
    ['malformed_key', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['unknown_key', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['revoked', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['expired', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['disabled', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['a_reason_of_the_servers_own', 401, 'invalid-key', 'Bearer realm="orders", error="invalid_token"'],
    ['scope_mismatch', 403, 'insufficient-scope', 'Bearer realm="orders", error="insufficient_scope"'],
    ['rate_limited', 429, 'rate-limited', undefined],
  ])('answers a key rejected as %s with %i %s', (reason, status, name, challenge) => {
    const answer = answerTo(rejected(reason));
    expect(answer).toMatchObject({
      status,
      reason,
      requestId: 'id-1',
      type: `urn:keyverify:problem:${name}`,
    });
    expect(answer.headers['www-authenticate']).toBe(challenge);
    expect(answer.headers['retry-after']).toBeUndefined();
  });

  const outages: FailureKind[] = [
    'unreachable',
    'timeout',
    'server_error',
    'rate_limited',
    'overloaded',
    'circuit_open',
    'invalid_response',
  ];
  it.each(outages)('answers 503 with Retry-After, never 401, when there is no verdict: %s', (kind) => {
    const answer = answerTo(failedClosed(kind));
    expect(answer).toMatchObject({ status: 503, reason: 'unavailable' });
    expect(answer.headers).toEqual({ 'content-type': 'application/problem+json', 'retry-after': '5' });
  });

  it('answers our own misconfiguration with 500 and no detail', () => {
    const answer = answerTo(failedClosed('misconfigured'));
    expect(answer).toMatchObject({ status: 500, title: 'Internal server error', reason: 'internal_error' });
    expect(answer.headers).toEqual({ 'content-type': 'application/problem+json' });
    expect(JSON.stringify(answer)).not.toMatch(/detail|token|misconfigured/);
  });

  it('has no field for a detail where there is none', () => {
    expect(problemDetails('unavailable', 'id-1')).toStrictEqual({
      type: 'urn:keyverify:problem:unavailable',
      title: 'API keys cannot be verified at the moment',
      status: 503,
      reason: 'unavailable',
      requestId: 'id-1',
    });
  });

  it.each([
    [0, '5'],
    [5_000, '5'],
    [5_001, '30'],
    [30_000, '30'],
    [30_001, '60'],
    [1e12, '60'],
  ])('tells the caller to wait %i ms as %s s, never the exact time', (retryAfterMs, seconds) => {
    expect(answerTo(failedClosed('circuit_open', { retryAfterMs })).headers['retry-after']).toBe(seconds);
  });

  it.each(['Key sk-1 is unknown', '<b>', 'UPPER', 'x'.repeat(65), ''])(
    'does not pass on a reason that is no identifier: %j',
    (reason) => expect(answerTo(rejected(reason)).reason).toBe('rejected'),
  );

  it('does not pass on a reason with the key in it', () => {
    expect(reasonOf(rejected('no_such_key_sk_live_1'), 'sk_live_1')).toBeUndefined();
    expect(reasonOf(rejected('no_such_key_sk_live_1'), null)).toBeUndefined();
    expect(reasonOf(rejected('no_such_key_sk_live_1'), 'sk_live_2')).toBe('no_such_key_sk_live_1');
  });

  it.each([
    ['key', 'unknown_key', 'unknown_key'],
    ['no', 'unknown_key', 'unknown_key'],
    ['known', 'unknown_key', 'unknown_key'],
    ['revoked', 'revoked', undefined],
  ])('has a short key %s in %s only as a word of its own', (key, reason, passed) => {
    expect(reasonOf(rejected(reason), key)).toBe(passed);
  });

  it('has a heading for every type on the page that the type leads to', () => {
    const page = readFileSync('docs/adapters.md', 'utf8');
    const headings = [...page.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(Object.keys(DENIALS));
  });

  it('has a status that denies in every row', () => {
    expect(Object.values(DENIALS).filter(({ status }) => status < 400)).toEqual([]);
  });
});
