import type { FailedClosed, Rejected } from '../core/result.js';

/** The body of a denial, RFC 9457. It says why, and nothing that is secret. */
export interface Problem {
  /** Stable: compare with this one, not with the title. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Why: `missing_key`, `unknown_key`, `revoked`, `unavailable`, ... */
  readonly reason: string;
  /** The caller's own `X-Request-Id` if that is well-formed, else a new one. */
  readonly requestId: string;
}

/** What a denied request is answered with: ready to be written, the same for every framework. */
export interface Denial {
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What the body says, for a framework that serialises on its own. */
  readonly content: unknown;
  /** As in the body. */
  readonly reason: string;
}

interface Row {
  readonly status: number;
  readonly title: string;
  /** The `error` of the challenge, RFC 6750. A challenge without one says that no key came. */
  readonly challenge?: 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope';
}

/** The one table: every denial of every adapter is a row of it. */
export const PROBLEMS = {
  'missing-key': { status: 401, title: 'An API key is required', challenge: 'none' },
  'invalid-key': { status: 401, title: 'The API key is not valid', challenge: 'invalid_token' },
  'ambiguous-key': { status: 400, title: 'One API key, given once, is expected', challenge: 'invalid_request' },
  'insufficient-scope': {
    status: 403,
    title: 'The API key is not valid for this service',
    challenge: 'insufficient_scope',
  },
  forbidden: { status: 403, title: 'The API key does not allow this' },
  'rate-limited': { status: 429, title: 'Too many requests with this API key' },
  unavailable: { status: 503, title: 'API keys cannot be verified at the moment' },
  internal: { status: 500, title: 'Internal server error' },
} as const satisfies Readonly<Record<string, Row>>;

/** The last part of a problem's `type`. */
type ProblemName = keyof typeof PROBLEMS;

/** The first part of a problem's `type`. A name and no address: it must outlive wherever the project is kept. */
const PROBLEM_BASE = 'urn:keyverify:problem:';

/** Why a request is denied. */
export interface Refusal {
  readonly problem: ProblemName;
  readonly reason: string;
  /** How long the caller had better wait, in milliseconds. Default: 1000. */
  readonly retryAfterMs?: number | undefined;
}

const LONGEST_WAIT_SECONDS = 3600;

/** Reasons come from the key server: what is no identifier could be anything, so it is not passed on. */
const REASON = /^[a-z][a-z0-9_]{0,63}$/;

function refuseRejected({ reason }: Rejected, key: string): Refusal {
  if (reason === 'missing_key') return { problem: 'missing-key', reason };
  if (reason === 'scope_mismatch') return { problem: 'insufficient-scope', reason };
  if (reason === 'rate_limited') return { problem: 'rate-limited', reason };
  return { problem: 'invalid-key', reason: REASON.test(reason) && !reason.includes(key) ? reason : 'rejected' };
}

/** The row for a result that denies. An outage is never a 401, and a mistake of our own comes without details. */
export function refuse(result: Rejected | FailedClosed, key: string): Refusal {
  if (result.source !== 'fail-closed') return refuseRejected(result, key);
  const { kind, retryAfterMs } = result.failure;
  if (kind === 'misconfigured') return { problem: 'internal', reason: 'internal_error' };
  return { problem: 'unavailable', reason: result.reason, retryAfterMs };
}

/** Describes a refusal as RFC 9457 wants it. */
export function describe({ problem, reason }: Refusal, requestId: string): Problem {
  const { title, status } = PROBLEMS[problem];
  return { type: PROBLEM_BASE + problem, title, status, reason, requestId };
}

/** The headers that go with a refusal. */
export function headersOf({ problem, retryAfterMs = 1000 }: Refusal, realm: string): Record<string, string> {
  const { status, challenge }: Row = PROBLEMS[problem];
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (challenge !== undefined) {
    const error = challenge === 'none' ? '' : `, error="${challenge}"`;
    headers['www-authenticate'] = `Bearer realm="${realm}"${error}`;
  }
  if (status === 503) {
    const seconds = Math.ceil(retryAfterMs / 1000);
    headers['retry-after'] = String(Math.min(Math.max(seconds, 1), LONGEST_WAIT_SECONDS));
  }
  return headers;
}
