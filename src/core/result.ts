import type { VerifyFailure } from './failure.js';

/** Whatever else the key server said about a verified key. */
export type DefaultClaims = Readonly<Record<string, unknown>>;

/** The key is good, and this is who it belongs to. */
export interface Verified<Claims = DefaultClaims> {
  readonly valid: true;
  /** `server`: asked just now. `cache`: within the TTL. `stale`: past it, honoured because the key server gave no verdict. */
  readonly source: 'server' | 'cache' | 'stale';
  readonly client: string;
  readonly tenant: string;
  readonly keyId?: string;
  readonly claims: Claims;
  /** When the key server was asked, in milliseconds since the epoch. */
  readonly verifiedAt: number;
  /** When the key ends, in milliseconds since the epoch. */
  readonly expiresAt?: number;
}

/** Nobody knows whether the key is good: the key server is out, and `failOpen` lets the caller in without an identity. */
export interface FailedOpen {
  readonly valid: true;
  readonly source: 'fail-open';
  readonly client: null;
  readonly tenant: null;
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
  readonly valid: false;
  /** `local`: refused by its shape, the key server was not asked. The others are as in `Verified`. */
  readonly source: 'server' | 'cache' | 'stale' | 'local';
  readonly reason: KnownReason | (string & Record<never, never>);
}

/** Nobody knows whether the key is good, and the caller is denied. Answer 503, not 401. */
export interface FailedClosed {
  readonly valid: false;
  readonly source: 'fail-closed';
  readonly reason: 'unavailable';
  readonly failure: VerifyFailure;
}

/**
 * What `verify()` gives the caller: a union on `valid`, then `source`. Results are frozen and shared between callers.
 * The failed-open variant is there only where `failOpen` can be `true`.
 */
export type VerifyResult<Claims = DefaultClaims, FailOpen extends boolean = false> =
  Verified<Claims> | Rejected | FailedClosed | (FailOpen extends true ? FailedOpen : never);

type AnyResult<Claims> = VerifyResult<Claims, boolean>;

/** The key server vouches for the key: there is an identity. */
export function isVerified<Claims>(result: AnyResult<Claims>): result is Verified<Claims> {
  return result.valid && result.source !== 'fail-open';
}

/** The key is known to be bad: the caller's fault, answer 401 (403 for `scope_mismatch`). */
export function isRejected(result: AnyResult<unknown>): result is Rejected {
  return !result.valid && result.source !== 'fail-closed';
}

/** There was no verdict, whatever the policy made of it: not the caller's fault, never a 401. */
export function isUnavailable(result: AnyResult<unknown>): result is FailedOpen | FailedClosed {
  return result.source === 'fail-open' || result.source === 'fail-closed';
}

/** Let in without an identity. */
export function isFailedOpen(result: AnyResult<unknown>): result is FailedOpen {
  return result.source === 'fail-open';
}

/** Who a key belongs to, and since when that is known. */
export interface IdentityFields<Claims> {
  readonly client: string;
  readonly tenant: string;
  readonly keyId?: string | undefined;
  readonly claims: Claims;
  readonly verifiedAt: number;
  readonly expiresAt?: number | undefined;
}

/** Field by field, here and below: to spread one result into another takes V8 longer than to look a key up. */
export function verified<Claims>(
  source: Verified['source'],
  { client, tenant, keyId, claims, verifiedAt, expiresAt }: IdentityFields<Claims>,
): Verified<Claims> {
  const result: { -readonly [Field in keyof Verified<Claims>]: Verified<Claims>[Field] } =
    keyId === undefined
      ? { valid: true, source, client, tenant, claims, verifiedAt }
      : { valid: true, source, client, tenant, keyId, claims, verifiedAt };
  if (expiresAt !== undefined) result.expiresAt = expiresAt;
  return Object.freeze(result);
}

export function rejected(source: Rejected['source'], reason: string): Rejected {
  return Object.freeze({ valid: false, source, reason });
}
