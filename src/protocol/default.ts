import type { FailureKind, AttemptFailure } from '../core/failure.js';
import { lazy } from '../core/lazy.js';
import { VERSION } from '../version.js';
import { retryAfterMs } from '../resilience/retry.js';
import type { ServerRequest, ServerResponse } from '../transport/transport.js';
import { readVerdict, type RawVerdict } from './verdict.js';

/** A verdict as it came over the wire, with what `Cache-Control` allows. */
export interface Answer {
  readonly verdict: Exclude<RawVerdict, { kind: 'invalid' }>;
  /** How long the server lets it be kept, in milliseconds; `Infinity` where it says nothing. */
  readonly maxAgeMs: number | 'no-store';
}

const USER_AGENT = `keyverify/${VERSION}`;

/** The request that asks for one key. */
export function encode(url: string, token: string, key: string, scope: string | undefined): ServerRequest {
  return {
    url,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'x-service-token': token,
      'user-agent': USER_AGENT,
    },
    body: JSON.stringify({ key, scope }),
  };
}

const problem = (kind: FailureKind, message: string, retryAfterMs?: number): AttemptFailure => ({
  kind,
  message: `keyverify: ${message}`,
  retryAfterMs,
});

/** Reads a response as a verdict, or names the failure that it is. `askedAt` is in epoch milliseconds. */
export function decode(response: ServerResponse, secrets: readonly string[], askedAt: number): Answer | AttemptFailure {
  const { status } = response;
  if (status !== 200) return statusProblem(response, askedAt);
  const type = response.header('content-type') ?? '';
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type))
    return problem('invalid_response', 'the key server answered 200 with something that is not JSON');
  const json = parse(response.body);
  if (json === undefined) return problem('invalid_response', 'the key server answered 200 with broken JSON');
  const verdict = readVerdict(json, secrets, askedAt);
  if (verdict.kind === 'invalid')
    return problem('invalid_response', `the key server answered 200 with no verdict: ${verdict.problem}`);
  return { verdict, maxAgeMs: maxAgeMs(response.header('cache-control')) };
}

function statusProblem(response: ServerResponse, wall: number): AttemptFailure {
  const { status } = response;
  const wait = retryAfterMs(response.header('retry-after'), wall);
  if (status >= 500) return problem('server_error', `the key server answered ${status}`, wait);
  if (status === 429) return problem('rate_limited', 'the key server answered 429: it limits our rate', wait);
  if (status === 401 || status === 403)
    return problem('misconfigured', `the key server answered ${status}: check serviceToken`);
  if (status >= 300 && status < 400)
    return problem('misconfigured', 'the key server answered with a redirect, which is not followed: check verifyUrl');
  if (status >= 400) return problem('misconfigured', `the key server answered ${status}: check verifyUrl`);
  return problem('invalid_response', `the key server answered ${status} instead of 200`);
}

const utf8 = lazy(() => new TextDecoder('utf-8', { fatal: true }));

function parse(body: Uint8Array): unknown {
  try {
    const json: unknown = JSON.parse(utf8().decode(body));
    return json;
  } catch {
    return undefined;
  }
}

function maxAgeMs(cacheControl: string | undefined): number | 'no-store' {
  if (cacheControl === undefined) return Infinity;
  const directives = cacheControl
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim());
  if (directives.includes('no-store')) return 'no-store';
  if (directives.some((directive) => directive.startsWith('no-cache'))) return 0;
  // What can't be read counts as the shortest: this may only shorten.
  const ages = directives.filter((directive) => directive.startsWith('max-age')).map(seconds);
  return Math.min(...ages) * 1000;
}

function seconds(directive: string): number {
  return Number(/^max-age="?(\d+)"?$/.exec(directive)?.[1] ?? 0);
}
