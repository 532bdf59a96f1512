import type { VerifyFailure } from './failure.js';

/** What else the key server said about a verified key. */
export type DefaultClaims = Readonly<Record<string, unknown>>;

/** The key is valid, and this is whose it is. */
export interface Verified<Claims = DefaultClaims> {
  readonly status: 'verified';
  readonly valid: true;
  /**
   * `server`: asked just now. `cache`: a verdict within its TTL. `shared`: the same, asked for by another process. `stale`: a
   * verdict past its TTL, honored because the key server gave no new one.
   */
  readonly source: 'server' | 'cache' | 'shared' | 'stale';
  /** Who uses the key, as the key server names them: a person, a service or an application. */
  readonly client: string;
  /** The customer that the client belongs to, as the key server names it. */
  readonly tenant: string;
  /** The key's public id. Unlike the key, it may be logged. */
  readonly keyId?: string;
  /**
   * All other fields of the verdict; with the option `claims`, what your schema made of them. Frozen, but for functions and
   * instances of classes other than `Date`, `Map` and `Set` in what the schema made: never change those.
   */
  readonly claims: Claims;
  /** When the key server was asked, in epoch milliseconds. */
  readonly verifiedAt: number;
  /** When the key expires, in epoch milliseconds. Left out if it doesn't. */
  readonly expiresAt?: number;
}

/** The key server is down, nothing is known about the key, and `failOpen` lets the caller in without an identity. */
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
  | 'rate_limited'
  | 'rejected';

/** The key is not valid. */
export interface Rejected {
  readonly status: 'rejected';
  readonly valid: false;
  /** `local`: rejected by its shape, without a request. The others are as in `Verified`. */
  readonly source: 'server' | 'cache' | 'shared' | 'stale' | 'local';
  /** Why: one of the reasons above, or another one of the key server's. */
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

/** Without a compiler, it may be the promise of `verify()`, which would count as neither valid nor rejected. */
function has(result: AnyResult<unknown>, status: AnyResult<unknown>['status']): boolean {
  const given: unknown = result.status;
  if (given === undefined) throw new TypeError('keyverify: expected a result: await verify() first');
  return given === status;
}

/** Whether the key is valid, so that there is an identity. */
export function isVerified<Claims>(result: AnyResult<Claims>): result is Verified<Claims> {
  return has(result, 'verified');
}

/** Whether the key is rejected: answer 401 (403 for `scope_mismatch`, 429 for `rate_limited`). */
export function isRejected(result: AnyResult<unknown>): result is Rejected {
  return has(result, 'rejected');
}

/** Whether there is no verdict, be the caller let in or denied. It is not the caller's fault: never answer 401. */
export function isUnavailable(result: AnyResult<unknown>): result is FailedOpen | FailedClosed {
  return has(result, 'failed-open') || has(result, 'failed-closed');
}

/** Whether the caller is let in without an identity. */
export function isFailedOpen(result: AnyResult<unknown>): result is FailedOpen {
  return has(result, 'failed-open');
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
