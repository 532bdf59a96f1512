import { dropFrames, KeyVerifyError, type ErrorCode } from './errors.js';
import { fieldOf, isText } from './schema.js';

/**
 * Why there is no verdict.
 *
 * - `unreachable`: no connection, or it was lost.
 * - `timeout`: no response within `timeoutMs`.
 * - `server_error`: a 5xx, 408, 421 or 425.
 * - `rate_limited`: a 429, the key server limits this service.
 * - `overloaded`: this process is at its limit, such as `maxConcurrency`.
 * - `circuit_open`: the circuit breaker is open, so nothing was sent, or only a brief question about a new key.
 * - `misconfigured`: wrong options, a refused service token, another 4xx, a redirect, a TLS failure or an unknown error.
 * - `invalid_response`: a 200 that is not a verdict, or a new TLS connection that was closed at once.
 */
export type FailureKind =
  | 'unreachable'
  | 'timeout'
  | 'server_error'
  | 'rate_limited'
  | 'overloaded'
  | 'circuit_open'
  | 'misconfigured'
  | 'invalid_response';

/**
 * Whether there is evidence of an outage. `proven`: the key server is down for everybody. Callers can't fake that by sending
 * keys that fail, except in a few cases: https://github.com/keyverify/keyverify/blob/main/SECURITY.md#what-failopen-depends-on
 * `unproven`: it answers nobody, but has never answered a control question either, so the callers' keys may be the reason.
 * `none`: this key's own failure, or no outage at all.
 */
export type Evidence = 'none' | 'unproven' | 'proven';

/** The kinds of failure that an outage of the key server shows itself by. Everything else never opens. */
const MAY_OPEN: ReadonlySet<FailureKind> = new Set(['unreachable', 'timeout', 'server_error', 'circuit_open']);

// toUpperCase() says no more than that it gives a string.
// eslint-disable-next-line @typescript-eslint/consistent-type-assertions
const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;

/** What is known about a failure besides its kind. */
export interface FailureDetails {
  /** The underlying error, reduced to name, code and message, with secrets redacted. */
  readonly cause?: Error | undefined;
  /** How long to wait before asking again, in milliseconds, if that is known. */
  readonly retryAfterMs?: number | undefined;
  /** How many requests were sent. Default: 0. */
  readonly attempts?: number | undefined;
  /** How long it took, in milliseconds. Default: 0. */
  readonly durationMs?: number | undefined;
  /** Whether there is evidence of an outage. Default: `none`. */
  readonly evidence?: Evidence | undefined;
  /** The response may have been meant as a rejection of this key. Default: `false`. */
  readonly ambiguous?: boolean | undefined;
}

/** Why one attempt gave no verdict, while another may follow. */
export interface AttemptFailure extends Pick<FailureDetails, 'cause' | 'retryAfterMs' | 'ambiguous'> {
  readonly kind: FailureKind;
  readonly message: string;
  /** The status of the response, if there was one. */
  readonly status?: number | undefined;
  /** The key server refused our service token: worth another attempt with a new one. */
  readonly tokenRefused?: true;
  /** No connection was made, so no key has left this process. */
  readonly unconnected?: true;
}

/** Why there is no verdict: the `failure` of a result. `verify()` never throws it. */
export class VerifyFailure extends KeyVerifyError {
  override readonly name = 'VerifyFailure';
  /** What failed, see `FailureKind`. */
  readonly kind: FailureKind;
  /** The kind as a stable error code, such as `KEYVERIFY_TIMEOUT`. */
  readonly code: ErrorCode;
  /** How many requests were sent. */
  readonly attempts: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** How long to wait before asking again, in milliseconds, if that is known. */
  readonly retryAfterMs: number | undefined;
  /** Whether there was evidence of an outage when this failure was made. */
  readonly evidence: Evidence;
  /**
   * Whether the response may have been meant as a rejection of this key, see
   * https://github.com/keyverify/keyverify/blob/main/docs/key-server.md#the-status-alone
   */
  readonly ambiguous: boolean;

  constructor(kind: FailureKind, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.code = `KEYVERIFY_${upper(kind)}`;
    this.attempts = details.attempts ?? 0;
    this.durationMs = details.durationMs ?? 0;
    this.retryAfterMs = details.retryAfterMs;
    this.evidence = details.evidence ?? 'none';
    this.ambiguous = details.ambiguous ?? false;
    dropFrames(this);
    // An observer must not change the decision that follows.
    Object.freeze(this);
  }

  /**
   * The failure as plain data, with whole milliseconds, and with the code of its cause, such as `ECONNREFUSED`: for
   * `JSON.stringify()`, and for `structuredClone()` and `postMessage()`.
   */
  override toJSON(): ReturnType<KeyVerifyError['toJSON']> & { readonly cause?: { readonly code: string } } {
    const json = Object.assign(super.toJSON(), { durationMs: Math.round(this.durationMs) });
    const code = fieldOf(this.cause, 'code');
    return isText(code) ? { ...json, cause: { code } } : json;
  }

  /** Whether the key server is down for everybody, with proof: the only case in which `failOpen` opens. */
  get isOutage(): boolean {
    return this.evidence === 'proven' && MAY_OPEN.has(this.kind);
  }
}

/** Whether an outage could show itself by such a failure. An answer of 4xx is worth a retry, but no sign of an outage. */
export function mayBeOutage({ kind, status = 500 }: Pick<AttemptFailure, 'kind' | 'status'>): boolean {
  return MAY_OPEN.has(kind) && status >= 500;
}

/** Whether a failure shows that there is no outage, as a 429 or a refused service token does. Our own load shows nothing. */
export function rulesOutOutage(failure: Pick<AttemptFailure, 'kind' | 'status'>): boolean {
  return !mayBeOutage(failure) && failure.kind !== 'overloaded';
}
