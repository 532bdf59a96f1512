import type { Entry } from './entry.js';
import type { VerifyFailure } from '../core/failure.js';
import { mayBeOutage } from '../core/failure.js';
import { failedClosed, failedOpen, rejected, type Rejected, type Verified, type VerifyResult } from '../core/result.js';

/** What a failure is decided by. */
export interface PolicyOptions {
  readonly staleIfErrorMs: number;
  /** The oldest verdict that will do. */
  readonly maxAgeMs: number;
  /** How long ago the key server last answered anybody, in milliseconds. */
  readonly answeredMs: number;
  /** For how long every question about this key has failed, and none that was sent before can still be answered. */
  readonly failingMs: number;
  /** Whether the key server answers callers, but no control question: what is unproven then proves nothing. */
  readonly controlsFail: boolean;
}

const EXPIRED = rejected('stale', 'expired');

/** What is known of the key outweighs the failure; else it opens for an outage if that is wanted; else it denies. */
export function decide<Claims>(
  stale: Verified<Claims> | Rejected | undefined,
  failure: VerifyFailure,
  mayOpen: boolean,
): VerifyResult<Claims, boolean> {
  return stale ?? (mayOpen && failure.isOutage ? failedOpen(failure) : failedClosed(failure));
}

/** What a cached verdict of this age is worth when there is no other, because of this failure. */
export function staleResult<Claims>(
  entry: Entry<Claims>,
  age: number,
  failure: VerifyFailure,
  { staleIfErrorMs, maxAgeMs, answeredMs, failingMs, controlsFail }: PolicyOptions,
): Verified<Claims> | Rejected | undefined {
  // Refreshed in the meantime.
  if (age < entry.ttlMs && age < maxAgeMs) return entry.result;
  // A known rejection, or a key that has expired, is never too old to outweigh a failure.
  if (!entry.result.valid) return entry.asStale();
  if (entry.hasEnded(age)) return EXPIRED;
  // While others are answered, a firewall's 403 or page befalls this key alone, and so does the 500 of a server that answers so
  // to each key that it doesn't know. A key that is in use when a failure begins for all loses nothing by this: it is past its
  // second TTL only when nobody has been answered for one.
  const provesNothing = failure.evidence === 'none' || (failure.evidence === 'unproven' && controlsFail);
  const isOwn = provesNothing && answeredMs < Math.max(entry.fullTtlMs, failingMs);
  const bound = isOwn || callersCanCause(failure) ? Math.min(entry.fullTtlMs, staleIfErrorMs) : staleIfErrorMs;
  // By `<`: a bound that is no number must not last forever.
  return !entry.noStale && age < entry.fullTtlMs + bound && age < maxAgeMs ? entry.asStale() : undefined;
}

/** Our load, the server's rate limit, keys revoked at once, and a failure of this key while others were answered. */
function callersCanCause(failure: VerifyFailure): boolean {
  const { kind, evidence, ambiguous } = failure;
  if (kind === 'rate_limited' || kind === 'overloaded' || ambiguous) return true;
  return mayBeOutage(failure) && evidence === 'none';
}
