import type { VerifyFailure } from '../core/failure.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';
import type { Instant } from '../core/clock.js';

/** The key server is left alone for a moment, because of a failure. */
export interface Backoff {
  /** On the monotonic clock. */
  readonly until: number;
  readonly failure: VerifyFailure;
}

/** Where entries count the wall clock's milliseconds from: a small whole number needs no memory of its own. */
const ORIGIN = Date.now();

/** A remembered verdict. Its age is fixed when it is written: nothing that happens to it later makes it younger. */
export class Entry<Claims> {
  /** The verdict as a hit serves it, `source: 'cache'`. */
  readonly result: Verified<Claims> | Rejected;
  /** When it was asked for, on the monotonic clock. */
  readonly mono: number;
  readonly ttlMs: number;
  readonly #wholeMono: number;
  readonly #wall: number;
  /** How old it was when its place among the latest was last renewed, in whole milliseconds. */
  touchedAtAge = 0;
  /** How old it has to be for another try to refresh it ahead of its end, in whole milliseconds. */
  refreshAtAge = 0;
  /** While a refresh that failed has just been tried. */
  backoff: Backoff | undefined;
  #stale: Verified<Claims> | Rejected | undefined;

  constructor(result: Verified<Claims> | Rejected, askedAt: Instant, ttlMs: number) {
    this.result = result;
    this.mono = askedAt.mono;
    // For every hit, and rounded down, so older: what is no whole number lies in memory of its own, one more place to wait for.
    this.#wholeMono = Math.floor(askedAt.mono);
    this.#wall = askedAt.wall - ORIGIN;
    this.ttlMs = ttlMs;
  }

  /** Whichever clock says more: one may have been set back, the other may have slept. */
  age(now: Instant): number {
    return Math.max(now.wall - ORIGIN - this.#wall, now.mono - this.#wholeMono);
  }

  /** Why the key server isn't to be asked about this key right now, if it isn't. */
  backoffFailure(mono: number): VerifyFailure | undefined {
    return this.backoff !== undefined && mono < this.backoff.until ? this.backoff.failure : undefined;
  }

  /**
   * Leaves the next try for the second half of the time that it is still fresh, at random: nobody waits for it, and what an
   * outage has stopped for many need not be made up for at once.
   */
  deferRefresh(age: number, random: () => number): void {
    this.refreshAtAge = Math.ceil(age + ((this.ttlMs - age) * (1 + random())) / 2);
  }

  /**
   * The verdict as it serves where the key server gives none, `source: 'stale'`, unless it is past its bounds. A key
   * that has ended meanwhile is known to be bad, and a refusal is never too old to outweigh a failure.
   */
  stale(age: number, staleIfErrorMs: number, maxAgeMs: number): Verified<Claims> | Rejected | undefined {
    if (age >= this.ttlMs + staleIfErrorMs) return undefined;
    const { result } = this;
    if (result.valid && age >= (result.expiresAt ?? Infinity) - ORIGIN - this.#wall) return EXPIRED;
    // Not `>=`: a bound that is no number, such as a variable that isn't set, must not lift the bound.
    if (result.valid && !(age < maxAgeMs)) return undefined;
    this.#stale ??= result.valid ? verified('stale', result) : rejected('stale', result.reason);
    return this.#stale;
  }
}

const EXPIRED = rejected('stale', 'expired');
