import type { Instant } from '../core/clock.js';
import type { VerifyFailure } from '../core/failure.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';

/** The key isn't asked about for a moment, because of a failure. */
export interface Backoff {
  /** On the monotonic clock. */
  readonly until: number;
  readonly failure: VerifyFailure;
}

/** How long a verdict is fresh, in milliseconds. */
export interface EntryFreshness {
  readonly ttlMs: number;
  /** Default: `ttlMs`. */
  readonly fullTtlMs?: number;
  readonly refreshAtAge: number;
  readonly noStale: boolean;
}

/** The part of the window in which suspect verdicts are refreshed in the background: the rest is for that to succeed. */
const REFRESH_FROM = 0.4;
const REFRESH_WITHIN = 0.95;

/** Entries count the wall clock from here: V8 keeps a small whole number without a memory access. */
const ORIGIN = Date.now();

/** A cached verdict. Its age is fixed when it is written: nothing that happens to it later makes it younger. */
export class Entry<Claims> {
  /** The verdict as a hit serves it, `source: 'cache'`. */
  readonly result: Verified<Claims> | Rejected;
  /** When it was asked for, on the monotonic clock. */
  readonly mono: number;
  /** How long it is fresh. Revocations and gaps shorten it, nothing lengthens it. */
  ttlMs: number;
  /** What `ttlMs` was when it was written: how long it is honoured while there is no other verdict counts from here. */
  readonly fullTtlMs: number;
  /** Never served past its TTL. */
  readonly noStale: boolean;
  readonly #wholeMono: number;
  readonly #wall: number;
  /** How old it was when it was last moved to the front of the LRU, in whole milliseconds. */
  touchedAtAge = 0;
  /** How old it has to be for a refresh ahead of its expiry, in whole milliseconds. */
  refreshAtAge: number;
  backoff: Backoff | undefined;
  #stale: Verified<Claims> | Rejected | undefined;

  constructor(
    result: Verified<Claims> | Rejected,
    askedAt: Instant,
    { ttlMs, fullTtlMs = ttlMs, refreshAtAge, noStale }: EntryFreshness,
  ) {
    this.result = result;
    this.mono = askedAt.mono;
    // Floored, so older: V8 boxes fractions, which costs a memory access per hit.
    this.#wholeMono = Math.floor(askedAt.mono);
    this.#wall = askedAt.wall - ORIGIN;
    this.ttlMs = ttlMs;
    this.fullTtlMs = fullTtlMs;
    this.refreshAtAge = refreshAtAge;
    this.noStale = noStale;
  }

  /** By the clock that says more: one may have been set back, the other may have slept. */
  age(now: Instant): number {
    return Math.max(now.wall - ORIGIN - this.#wall, now.mono - this.#wholeMono);
  }

  isFresh(age: number, maxAgeMs: number): boolean {
    return age < this.ttlMs && age < maxAgeMs;
  }

  /** Whether it was asked for at this moment, in epoch milliseconds. */
  isFrom(wall: number): boolean {
    return wall - ORIGIN === this.#wall;
  }

  /** Whether the key has ended by itself. */
  hasEnded(age: number): boolean {
    return this.result.valid && age >= (this.result.expiresAt ?? Infinity) - ORIGIN - this.#wall;
  }

  /** Ends its freshness at this age. */
  expireAt(age: number): void {
    this.ttlMs = Math.min(this.ttlMs, Math.max(0, Math.floor(age)));
  }

  /**
   * It may have been revoked since it had this age: it is asked about again within `windowMs`, and is fresh no longer than
   * that. If its own refresh would come too late for that, `share` (0 to 1) picks an earlier moment, but not one of the
   * first, which are for verdicts that are due by themselves.
   */
  suspectSince(age: number, windowMs: number, share: number): void {
    this.expireAt(age + windowMs);
    if (this.refreshAtAge <= age + windowMs * REFRESH_WITHIN) return;
    const part = REFRESH_FROM + (REFRESH_WITHIN - REFRESH_FROM) * share;
    this.refreshAtAge = Math.ceil(age + windowMs * part);
  }

  /** Why this key isn't to be asked about right now, if it isn't. */
  backoffFailure(mono: number): VerifyFailure | undefined {
    return this.backoff !== undefined && mono < this.backoff.until ? this.backoff.failure : undefined;
  }

  /**
   * Defers the next refresh into the second half of the time that the verdict is still fresh, at random: nobody waits for
   * it, and the refreshes that an outage has stopped need not all be made up for at once.
   */
  deferRefresh(age: number, random: () => number): void {
    this.refreshAtAge = Math.ceil(age + ((this.ttlMs - age) * (1 + random())) / 2);
  }

  /** The verdict as it is served when there is no other, `source: 'stale'`. */
  asStale(): Verified<Claims> | Rejected {
    this.#stale ??= this.result.valid ? verified('stale', this.result) : rejected('stale', this.result.reason);
    return this.#stale;
  }
}
