import type { Instant } from '../core/clock.js';
import type { VerifyFailure } from '../core/failure.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';

/** The key isn't asked about for a moment, because of a failure. */
export interface Backoff {
  /** On the monotonic clock. */
  readonly until: number;
  /** When the first of the failures in a row ended, on the monotonic clock. */
  readonly since: number;
  /** Gone once the moment is over. */
  failure: VerifyFailure | undefined;
  /** How often in a row the key alone hung or was limited, while others were answered. */
  readonly alone: number;
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

/** Entries keep the fraction of a millisecond in parts of this size, for the same reason. */
const FRACTION = 2 ** 20;

const VERIFIED = 1;
const NO_STALE = 2;
const DETAILS = 4;

/** In place of a position in the log: the verdict was invalidated. */
const FORGOTTEN = -1;

/** Stands in for a verdict that was invalidated, which need not stay in memory. */
const NOTHING = rejected('cache', 'invalidated');

/**
 * A cached verdict. Its age is fixed when it is written: nothing that happens to it later makes it younger. The fields that a
 * hit reads come first: at a million entries, each further cache line costs as much as the rest.
 */
export class Entry<Claims> {
  /** Where the log of invalidations stood when it was last compared with this. */
  position: number;
  readonly #wholeMono: number;
  readonly #wall: number;
  /** How old it was when it was last moved to the front of the LRU, in whole milliseconds. */
  touchedAtAge = 0;
  /** How long it is fresh. Revocations and gaps shorten it, nothing lengthens it. */
  ttlMs: number;
  /** How old it has to be for a refresh ahead of its expiry, in whole milliseconds. A rejection is never refreshed. */
  refreshAtAge: number;
  #result: Verified<Claims> | Rejected;
  /** What `ttlMs` was when it was written: how long it is honored while there is no other verdict counts from here. */
  readonly fullTtlMs: number;
  /** Bits, and above them the fraction of `mono`: each field of its own would be 8 bytes for each entry. */
  readonly #details: number;
  backoff: Backoff | undefined;
  #stale: Verified<Claims> | Rejected | undefined;

  constructor(
    result: Verified<Claims> | Rejected,
    askedAt: Instant,
    { ttlMs, fullTtlMs = ttlMs, refreshAtAge, noStale }: EntryFreshness,
    position = 0,
  ) {
    this.#result = result;
    // Floored, so older: V8 boxes fractions, which costs a memory access per hit.
    this.#wholeMono = Math.floor(askedAt.mono);
    const fraction = Math.floor((askedAt.mono - this.#wholeMono) * FRACTION);
    this.#details = fraction * DETAILS + (result.valid ? VERIFIED : 0) + (noStale ? NO_STALE : 0);
    this.#wall = askedAt.wall - ORIGIN;
    this.ttlMs = ttlMs;
    this.fullTtlMs = fullTtlMs;
    this.refreshAtAge = result.valid ? refreshAtAge : Infinity;
    this.position = position;
  }

  /** The verdict as a hit serves it, `source: 'cache'`. */
  get result(): Verified<Claims> | Rejected {
    return this.#result;
  }

  /** Whether it was invalidated: the key must be asked about, and until then it may not be let in. */
  get isForgotten(): boolean {
    return this.position === FORGOTTEN;
  }

  forget(): void {
    this.position = FORGOTTEN;
    this.#result = NOTHING;
    this.#stale = undefined;
    this.backoff = undefined;
  }

  /** When it was asked for, on the monotonic clock; rounded down by less than a microsecond. */
  get mono(): number {
    return this.#wholeMono + Math.floor(this.#details / DETAILS) / FRACTION;
  }

  /** Whether the key was good. A hit on a verified key is served without a look at the verdict itself. */
  get isVerified(): boolean {
    return (this.#details & VERIFIED) !== 0;
  }

  /** Never served past its TTL. */
  get noStale(): boolean {
    return (this.#details & NO_STALE) !== 0;
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

  /** Whether the key has expired. */
  hasEnded(age: number): boolean {
    return this.#result.valid && age >= (this.#result.expiresAt ?? Infinity) - ORIGIN - this.#wall;
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

  /** For how long every question about this key has failed, in milliseconds. */
  failingMs(mono: number): number {
    return mono - (this.backoff?.since ?? mono);
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
    this.#stale ??= this.#result.valid ? verified('stale', this.#result) : rejected('stale', this.#result.reason);
    return this.#stale;
  }
}
