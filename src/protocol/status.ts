import type { WireResponse } from '../transport/transport.js';
import type { ProtocolFailure, ResponseFailureKind } from './protocol.js';
import { retryAfterMs } from './retry-after.js';

/** Statuses of a request that may be repeated, RFC 9110 15.5.9 and 15.5.20, RFC 8470. */
const REPEATABLE: ReadonlySet<number> = new Set([408, 421, 425]);

/** The only failures that a response can be: the others would open, or say something of us. */
export const RESPONSE_FAILURES: ReadonlySet<string> = new Set<ResponseFailureKind>([
  'server_error',
  'rate_limited',
  'misconfigured',
  'invalid_response',
]);

/** Whether a response is a failure by its status, in every protocol. */
export function isNeverVerdict(status: number): boolean {
  const mayBeVerdict = (status >= 200 && status < 300) || (status >= 400 && status < 500);
  return !mayBeVerdict || REPEATABLE.has(status);
}

/** The failure that a response without a verdict is, by its status. `wall` is in epoch milliseconds. */
export function statusFailure(response: WireResponse, wall: number): ProtocolFailure {
  const { status } = response;
  const failure = (kind: ResponseFailureKind, message: string): ProtocolFailure => ({
    kind,
    message: `keyverify: the key server answered ${message}`,
    status,
    retryAfterMs: retryAfterMs(response.header('retry-after'), wall),
  });
  const hundreds = Math.floor(status / 100);
  if (hundreds === 5 || REPEATABLE.has(status)) return failure('server_error', String(status));
  if (status === 429) return failure('rate_limited', '429: it limits our rate');
  if (status === 401) return { ...failure('misconfigured', '401: check serviceToken'), tokenRefused: true };
  if (status === 403) return failure('misconfigured', '403: check serviceToken');
  if (hundreds === 4)
    return failure('misconfigured', `${status}: check verifyUrl${status === 404 ? '' : ' and protocol'}`);
  if (hundreds === 3) return failure('misconfigured', 'with a redirect, which is not followed: check verifyUrl');
  return failure('invalid_response', `${status} instead of 200`);
}

/** A response that ought to be a verdict, but isn't: `what` it is instead. */
export function invalidResponse(what: string): { readonly failure: ProtocolFailure } {
  return { failure: { kind: 'invalid_response', message: `keyverify: the key server answered with ${what}` } };
}

/** JSON without a verdict in it, and why. `name`: that of the protocol, if it has one. */
export function notVerdict(problem: string, name?: string): { readonly failure: ProtocolFailure } {
  const of = name === undefined ? '' : ` of protocol "${name}"`;
  const message = `keyverify: the response of the key server is not a verdict${of}: ${problem}`;
  return { failure: { kind: 'invalid_response', message } };
}
