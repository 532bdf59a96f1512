import { isHeaderName } from '../core/header.js';
import { shown } from '../core/messages.js';
import { redact } from '../core/redact.js';
import { type FailedClosed, isRejected, type Rejected } from '../core/result.js';
import { isString } from '../core/schema.js';
import type { KeyFound } from './key-sources.js';
import type { GuardRequest } from './request.js';

/** The body of a denial: problem details, RFC 9457. It contains neither the key nor anything else that is secret. */
export interface ProblemDetails {
  /** A URN, `urn:keyverify:problem:<name>`. It never changes: compare this, not the title. */
  readonly type: string;
  /** One sentence for people. */
  readonly title: string;
  /** How to send a key, where none was found. */
  readonly detail?: string;
  /** The HTTP status. */
  readonly status: number;
  /** Why: `missing_key`, `unknown_key`, `revoked`, `unavailable`, ... */
  readonly reason: string;
  /** The framework's id of the request, else the caller's `X-Request-Id` if it is well-formed, else a new UUID. */
  readonly requestId: string;
}

/** The response to a denied request, ready to be sent. It is the same for every framework. */
export interface Denial {
  /** 400 to 599. */
  readonly status: number;
  /** Names are in lower case. There is no `Content-Length`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as text. Leave it out in the response to a `HEAD`. */
  readonly body: string;
  /** The body before it became text, for a framework that serializes it itself. */
  readonly content: unknown;
  /** As in `ProblemDetails`. */
  readonly reason: string;
}

/** What is known about a denial besides its body. The result contains no key; what was thrown may. */
export interface DenialContext {
  /** The result of the verifier, if it was asked and denied. */
  readonly result?: Rejected | FailedClosed | undefined;
  /** What was thrown, if something was. Log it: the caller sees none of it. */
  readonly error?: unknown;
}

/** What `onDenied` may change in a denial. What it leaves out stays as it was. */
export interface DenialOverrides {
  /** 400 to 599. The body says the same, unless `body` replaces it. */
  readonly status?: number;
  /** Added to the headers; replaces those of the same name. `Cache-Control` and `X-Request-Id` can't be changed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces the body: a string is sent as it is, by default as `text/plain`, anything else as JSON. */
  readonly body?: unknown;
}

interface Row {
  readonly status: number;
  readonly title: string;
  /** For a key that is not valid the key server gives the reason. This is what stands in if it can't be passed on. */
  readonly reason: string;
  /** The `error` of the challenge, RFC 6750. A challenge without one says that no key came. */
  readonly challenge?: 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope';
}

/** The one table: every denial of every adapter is a row of it. */
export const DENIALS = {
  'missing-key': { status: 401, title: 'An API key is required', reason: 'missing_key', challenge: 'none' },
  'invalid-key': { status: 401, title: 'The API key is not valid', reason: 'rejected', challenge: 'invalid_token' },
  'ambiguous-key': {
    status: 400,
    title: 'Send exactly one API key, without a scheme, spaces or commas',
    reason: 'ambiguous_key',
    challenge: 'invalid_request',
  },
  'insufficient-scope': {
    status: 403,
    title: 'The API key is not valid for this service',
    reason: 'scope_mismatch',
    challenge: 'insufficient_scope',
  },
  forbidden: { status: 403, title: 'The API key does not allow this', reason: 'not_allowed' },
  'rate-limited': { status: 429, title: 'Too many requests with this API key', reason: 'rate_limited' },
  unavailable: { status: 503, title: 'API keys cannot be verified at the moment', reason: 'unavailable' },
  internal: { status: 500, title: 'Internal server error', reason: 'internal_error' },
  aborted: { status: 499, title: 'The caller has left', reason: 'aborted' },
} as const satisfies Readonly<Record<string, Row>>;

/** The last part of the `type` of problem details. */
export type DenialType = keyof typeof DENIALS;

/** A URN and no address: it must outlive wherever the project is kept. */
const TYPE_PREFIX = 'urn:keyverify:problem:';

/** The values of `Retry-After`, in seconds. The exact time would tell an attacker when the next question is asked. */
const RETRY_AFTER_STEPS = [5, 30] as const;
const LONGEST_RETRY_AFTER = 60;

/** Reasons come from the key server: what is no identifier could be anything, so it is not passed on. */
const REASON = /^[a-z][a-z0-9_]{0,63}$/;

const REQUEST_ID = /^[\w.:-]{1,128}$/;
const HEADER_VALUE = /^[ -~]*$/;

/** They say how the response is sent, which is up to the framework, and HTTP/2 has no place for them. */
const FRAMING = /^(?:connection|content-length|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i;

/** The row for a result that denies. An outage is never a 401, and a mistake of our own comes without details. */
export function denialTypeOf(result: Rejected | FailedClosed): DenialType {
  if (!isRejected(result)) return result.failure.kind === 'misconfigured' ? 'internal' : 'unavailable';
  if (result.reason === 'missing_key') return 'missing-key';
  if (result.reason === 'scope_mismatch') return 'insufficient-scope';
  if (result.reason === 'rate_limited') return 'rate-limited';
  return 'invalid-key';
}

/** The reason for a caller to see, never with the key in it; `undefined` stands for that of the table. */
export function reasonOf(result: Rejected | FailedClosed, key: string | null): string | undefined {
  if (!isRejected(result) || key === null || redact(result.reason, [key]) !== result.reason) return undefined;
  return REASON.test(result.reason) ? result.reason : undefined;
}

export function problemDetails(type: DenialType, requestId: string, reason?: string, detail?: string): ProblemDetails {
  const { title, status, reason: standard } = DENIALS[type];
  const said = detail === undefined ? {} : { detail };
  return { type: TYPE_PREFIX + type, title, ...said, status, reason: reason ?? standard, requestId };
}

/** The headers that go with a row of the table. */
export function headersOf(
  type: DenialType,
  realm: string,
  result: Rejected | FailedClosed | undefined,
): Record<string, string> {
  const { challenge }: Row = DENIALS[type];
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (challenge !== undefined) {
    const error = challenge === 'none' ? '' : `, error="${challenge}"`;
    headers['www-authenticate'] = `Bearer realm="${realm}"${error}`;
  }
  if (result !== undefined && !isRejected(result) && type === 'unavailable')
    headers['retry-after'] = retryAfter(result.failure);
  return headers;
}

function retryAfter({ retryAfterMs = 0 }: FailedClosed['failure']): string {
  return String(RETRY_AFTER_STEPS.find((seconds) => retryAfterMs <= seconds * 1000) ?? LONGEST_RETRY_AFTER);
}

/** An id that came with the request is echoed only if it is one: not a way to write headers, and not the key come back. */
export function requestIdOf(request: GuardRequest, found: KeyFound): string {
  const [sent, second] = request.header('x-request-id');
  const id = request.requestId ?? (second === undefined ? sent : undefined);
  // The key first: what a regular expression has matched, the engine keeps.
  const mayBeKey = id === undefined || 'ambiguous' in found || (found.key !== null && id.includes(found.key));
  return !mayBeKey && REQUEST_ID.test(id) ? id : crypto.randomUUID();
}

/** Writes a denial. Throws for overrides that don't deny, or that can't be written. */
export function toDenial(
  problem: ProblemDetails,
  defaults: Readonly<Record<string, string>>,
  overrides: DenialOverrides = {},
): Denial {
  // RFC 9457, section 3.1.2: the status in the body is that of the response.
  const { status = problem.status, headers = {}, body: content = { ...problem, status } } = overrides;
  if (!Number.isInteger(status) || status < 400 || status > 599)
    throw new RangeError(`status: expected 400 to 599, got ${shown(status)}`);
  const all: Record<string, string> = { ...defaults };
  if (isString(content)) all['content-type'] = 'text/plain; charset=utf-8';
  for (const [name, value] of Object.entries(headers)) {
    if (!isHeaderName(name) || FRAMING.test(name))
      throw new TypeError(`headers: ${JSON.stringify(name)} is not the name of a header that can be set`);
    if (!isString(value) || !HEADER_VALUE.test(value))
      throw new TypeError(`headers.${name}: expected a string of printable ASCII, got ${shown(value)}`);
    all[name.toLowerCase()] = value;
  }
  all['cache-control'] = 'no-store';
  all['x-request-id'] = problem.requestId;
  const body: unknown = isString(content) ? content : JSON.stringify(content);
  if (!isString(body)) throw new TypeError(`body: expected text or JSON, got ${shown(content)}`);
  return { status, headers: all, body, content, reason: problem.reason };
}
