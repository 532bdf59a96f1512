import { describe, expect, test } from 'vitest';

import { mayBeOutage } from '../../src/core/failure.js';
import { statusFailure } from '../../src/protocol/status.js';
import { response } from '../helpers/responses.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const REDIRECT = 'with a redirect, which is not followed: check verifyUrl';

const failure = (status: number, retryAfter?: string) =>
  statusFailure(response(status, '', retryAfter === undefined ? {} : { 'retry-after': retryAfter }), NOW);

describe('a status without a verdict', () => {
  test.each([
    [500, 'server_error', '500'],
    [503, 'server_error', '503'],
    [599, 'server_error', '599'],
    [408, 'server_error', '408'],
    [421, 'server_error', '421'],
    [425, 'server_error', '425'],
    [429, 'rate_limited', '429: it limits our rate'],
    [403, 'misconfigured', '403: check serviceToken'],
    [400, 'misconfigured', '400: check verifyUrl and protocol'],
    [404, 'misconfigured', '404: check verifyUrl'],
    [405, 'misconfigured', '405: check verifyUrl and protocol'],
    [407, 'misconfigured', '407: check verifyUrl and protocol'],
    [409, 'misconfigured', '409: check verifyUrl and protocol'],
    [420, 'misconfigured', '420: check verifyUrl and protocol'],
    [424, 'misconfigured', '424: check verifyUrl and protocol'],
    [428, 'misconfigured', '428: check verifyUrl and protocol'],
    [499, 'misconfigured', '499: check verifyUrl and protocol'],
    [300, 'misconfigured', REDIRECT],
    [307, 'misconfigured', REDIRECT],
    [399, 'misconfigured', REDIRECT],
    [0, 'invalid_response', '0 instead of 200'],
    [199, 'invalid_response', '199 instead of 200'],
    [201, 'invalid_response', '201 instead of 200'],
    [204, 'invalid_response', '204 instead of 200'],
    [299, 'invalid_response', '299 instead of 200'],
    [NaN, 'invalid_response', 'NaN instead of 200'],
  ] as const)('%i is %s', (status, kind, message) => {
    expect(failure(status)).toStrictEqual({
      kind,
      message: `keyverify: the key server answered ${message}`,
      status,
      retryAfterMs: undefined,
    });
  });

  test('401 says that our token was refused', () => {
    expect(failure(401)).toStrictEqual({
      kind: 'misconfigured',
      message: 'keyverify: the key server answered 401: check serviceToken',
      status: 401,
      retryAfterMs: undefined,
      tokenRefused: true,
    });
  });

  test.each([408, 421, 425])('%i is worth a retry, but no sign of an outage', (status) => {
    expect(mayBeOutage(failure(status))).toBe(false);
    expect(mayBeOutage(failure(500))).toBe(true);
  });

  test.each([503, 429, 408, 401, 404, 307, 204])('%i carries its Retry-After', (status) => {
    expect(failure(status, '3')).toMatchObject({ retryAfterMs: 3_000 });
    expect(failure(status, 'Thu, 01 Jan 2026 00:00:02 GMT')).toMatchObject({ retryAfterMs: 2_000 });
  });
});
