import type { Entry } from '../cache/entry.js';
import type { VerifyFailure } from '../core/failure.js';

/** How long a key isn't asked about after a failure, at most, in milliseconds. Half of it is random. */
const BACKOFF_MS = 1000;

/**
 * For how long a key that was itself answered 429, or on which the server hung, isn't asked about during a pause, at first and at
 * most, in milliseconds. Each further time doubles it.
 */
const LIMITED_MS = 250;
const MOST_LIMITED_MS = 30_000;

/** Twice as long as it takes until such a key gets a turn, in milliseconds. */
const TURN_MS = 600;

/** Before there are more keys than this that were limited, all of them are forgotten. */
const MOST_LIMITED = 1_000;

/** Keys that aren't asked about for a while after a failure. */
export class Backoffs<Claims> {
  /** The oldest first. */
  readonly #entries = new Set<Entry<Claims>>();
  /** By fingerprint. A key that fails again and again would get all the questions that are asked during a pause. */
  readonly #limited = new Map<string, { readonly ms: number; readonly until: number }>();

  /** Whether a key has to wait before it is asked about during a pause. */
  isLimited(fingerprint: string, mono: number): boolean {
    return mono < (this.#limited.get(fingerprint)?.until ?? mono);
  }

  /** Whether it has had to, and was not answered since: many of its kind could take the questions about all others. */
  yields(fingerprint: string): boolean {
    return this.#limited.has(fingerprint);
  }

  /** The key was answered with a verdict. */
  end(fingerprint: string): void {
    this.#limited.delete(fingerprint);
  }

  /** The key failed. `isOpen`: whether the breaker is open, so that a known key has had the turn of another. */
  begin(
    fingerprint: string,
    entry: Entry<Claims> | undefined,
    failure: VerifyFailure,
    mono: number,
    random: number,
    isOpen: boolean,
  ): void {
    // A failure weighs more than a verdict: in a long outage, every entry would come to hold one.
    for (const oldest of this.#entries) {
      if (oldest.backoffFailure(mono) !== undefined) break;
      if (oldest.backoff !== undefined) oldest.backoff.failure = undefined;
      this.#entries.delete(oldest);
    }
    // Others were answered meanwhile.
    const isOwn = failure.kind === 'timeout' && failure.evidence === 'none';
    if ((failure.kind === 'rate_limited' || isOwn || (isOpen && entry !== undefined)) && failure.attempts > 0)
      this.#limit(fingerprint, mono, failure.evidence === 'none');
    if (entry === undefined) return;
    const since = entry.backoff?.since ?? mono;
    // It may have hung in an outage that is over: only the second time it is this key.
    const backoffMs = isOwn && entry.backoff?.isOwn !== true ? 0 : BACKOFF_MS * (1 - random / 2);
    entry.backoff = { until: mono + backoffMs, since, failure, isOwn };
    this.#entries.delete(entry);
    this.#entries.add(entry);
  }

  #limit(fingerprint: string, mono: number, isAlone: boolean): void {
    const limited = this.#limited;
    // Where it fails alone, each time weighs more. In an outage all known keys fail, and any of them shows when it is over:
    // together they leave turns free.
    const inOutageMs = (limited.size + 1) * TURN_MS;
    const ms = Math.min(isAlone ? 2 * (limited.get(fingerprint)?.ms ?? LIMITED_MS / 2) : inOutageMs, MOST_LIMITED_MS);
    if (limited.size >= MOST_LIMITED) limited.clear();
    limited.set(fingerprint, { ms, until: mono + ms });
  }
}
