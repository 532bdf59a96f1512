import type { VerifyFailure } from './failure.js';

/** What else the key server said about a verified key. */
export type DefaultClaims = Readonly<Record<string, unknown>>;

/** The key is good, and this is whose it is. */
export interface Verified<Claims = DefaultClaims> {
  readonly status: 'verified';
  readonly valid: true;
  /**
   * `server`: asked just now. `cache`: within the TTL. `shared`: the same, asked by another process. `stale`: past the TTL,
   * honoured because the key server gave no verdict.
   */
  readonly source: 'server' | 'cache' | 'shared' | 'stale';
  /** The caller's name, as the key server gives it. */
  readonly client: string;
  /** The customer that the caller belongs to, as the key server gives it. */
  readonly tenant: string;
  /** The key's public id. Unlike the key, it may be logged. */
  readonly keyId?: string;
  /** All other fields of the verdict; with the option `claims`, what your schema made of them. Frozen. */
  readonly claims: Claims;
  /** When the key server was asked, in epoch milliseconds. */
  readonly verifiedAt: number;
  /** When the key ends, in epoch milliseconds. */
  readonly expiresAt?: number;
}

/** The key server is down, nothing is known of the key, and `failOpen` lets the caller in without an identity. */
export interface FailedOpen {
  readonly status: 'failed-open';
  readonly valid: true;
  readonly source: 'fail-open';
  readonly client: null;
  readonly tenant: null;
  /** Why there is no verdict. */
  readonly failure: VerifyFailure;
}

/** Reasons this library knows; the key server may send others. */
export type KnownReason =
  | 'missing_key'
  | 'malformed_key'
  | 'unknown_key'
  | 'revoked'
  | 'expired'
  | 'disabled'
  | 'scope_mismatch'
  | 'rate_limited';

/** The key is known to be bad. */
export interface Rejected {
  readonly status: 'rejected';
  readonly valid: false;
  /** `local`: rejected by its shape, without asking. The others are as in `Verified`. */
  readonly source: 'server' | 'cache' | 'shared' | 'stale' | 'local';
  readonly reason: KnownReason | (string & Record<never, never>);
}

/** There is no verdict, and the caller is denied. Answer 503, not 401. */
export interface FailedClosed {
  readonly status: 'failed-closed';
  readonly valid: false;
  readonly source: 'fail-closed';
  readonly reason: 'unavailable';
  /** Why there is no verdict. */
  readonly failure: VerifyFailure;
}

/**
 * What `verify()` resolves to: a union on `status`. Results are frozen and shared between callers.
 * `FailedOpen` is part of it only where `failOpen` can be `true`.
 */
export type VerifyResult<Claims = DefaultClaims, FailOpen extends boolean = false> =
  Verified<Claims> | Rejected | FailedClosed | (FailOpen extends true ? FailedOpen : never);

type AnyResult<Claims> = VerifyResult<Claims, boolean>;

/** The key is good: there is an identity. */
export function isVerified<Claims>(result: AnyResult<Claims>): result is Verified<Claims> {
  return result.status === 'verified';
}

/** The key is known to be bad: answer 401 (403 for `scope_mismatch`, 429 for `rate_limited`). */
export function isRejected(result: AnyResult<unknown>): result is Rejected {
  return result.status === 'rejected';
}

/** There was no verdict, open or closed. It is not the caller's fault: never answer 401. */
export function isUnavailable(result: AnyResult<unknown>): result is FailedOpen | FailedClosed {
  return result.status === 'failed-open' || result.status === 'failed-closed';
}

/** Let in without an identity. */
export function isFailedOpen(result: AnyResult<unknown>): result is FailedOpen {
  return result.status === 'failed-open';
}

/** Whose key it is, and since when that is known. */
export type IdentityFields<Claims> = Omit<Verified<Claims>, 'status' | 'valid' | 'source' | 'keyId' | 'expiresAt'> & {
  readonly keyId?: string | undefined;
  readonly expiresAt?: number | undefined;
};

/** Field by field, here and below: spreading one result into another takes V8 longer than looking up a key. */
export function verified<Claims>(
  source: Verified['source'],
  { client, tenant, keyId, claims, verifiedAt, expiresAt }: IdentityFields<Claims>,
): Verified<Claims> {
  const result: { -readonly [Field in keyof Verified<Claims>]: Verified<Claims>[Field] } =
    keyId === undefined
      ? { status: 'verified', valid: true, source, client, tenant, claims, verifiedAt }
      : { status: 'verified', valid: true, source, client, tenant, keyId, claims, verifiedAt };
  if (expiresAt !== undefined) result.expiresAt = expiresAt;
  return Object.freeze(result);
}

export function rejected(source: Rejected['source'], reason: string): Rejected {
  return Object.freeze({ status: 'rejected', valid: false, source, reason });
}

export function failedOpen(failure: VerifyFailure): FailedOpen {
  return Object.freeze({
    status: 'failed-open',
    valid: true,
    source: 'fail-open',
    client: null,
    tenant: null,
    failure,
  });
}

export function failedClosed(failure: VerifyFailure): FailedClosed {
  return Object.freeze({
    status: 'failed-closed',
    valid: false,
    source: 'fail-closed',
    reason: 'unavailable',
    failure,
  });
}
