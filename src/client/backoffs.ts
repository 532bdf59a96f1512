import { LRUCache } from 'lru-cache';

import { sharesPromises } from '#platform';
import type { Backoff, Entry } from '../cache/entry.js';
import type { VerifyFailure } from '../core/failure.js';
import type { KeyQuestion } from './question.js';

/** How long a key isn't asked about after a failure, at most, in milliseconds. Half of it is random. */
const BACKOFF_MS = 1000;

/** How many keys that failed, and how many that wait, are remembered. */
const MOST_KEYS = 1_000;

/** A question that may be asked during a pause. */
export type Asking = Pick<KeyQuestion, 'fingerprint' | 'key' | 'isKnown'>;

/** Keys that aren't asked about for a while after a failure, and the order in which known keys are during a pause. */
export class Backoffs<Claims> {
  /** The oldest first. */
  readonly #latest = new Set<Backoff>();
  /** Until when keys that failed aren't asked about during a pause, by fingerprint. */
  readonly #limited = new LRUCache<string, number>({ max: MOST_KEYS });
  /** Known keys, by fingerprint. */
  readonly #waiting = new LRUCache<string, Asking>({ max: MOST_KEYS });

  /**
   * What to ask next, if `tryTake` allows a question: of the known keys that wait, one that didn't fail, or the one that failed
   * longest ago. In order of arrival, a few that are presented all the time would be asked about instead of all others.
   */
  next(asking: Asking, mono: number, tryTake: (yields: boolean) => boolean): Asking | undefined {
    const until = ({ fingerprint }: Asking): number => this.#limited.get(fingerprint) ?? 0;
    if (until(asking) > mono) return undefined;
    // An isolate may end a request before it has asked for another.
    const waits = sharesPromises && asking.isKnown;
    if (waits) this.#waiting.set(asking.fingerprint, asking);
    if (!tryTake(until(asking) > 0)) return undefined;
    let next = asking;
    if (waits) for (const other of this.#waiting.values()) if (until(next) > until(other)) next = other;
    this.#waiting.delete(next.fingerprint);
    return next;
  }

  /** The key was answered with a verdict, so an outage is over, and no raw key is kept any longer. */
  end(fingerprint: string): void {
    // LRUCache allocates for both, even where there is nothing to do: on each miss.
    if (this.#limited.size + this.#waiting.size === 0) return;
    this.#limited.delete(fingerprint);
    this.#waiting.clear();
  }

  /** The key failed. */
  begin(
    fingerprint: string,
    entry: Entry<Claims> | undefined,
    failure: VerifyFailure,
    mono: number,
    random: number,
  ): void {
    // A failure weighs more than a verdict: in a long outage, every entry would come to hold one.
    for (const oldest of this.#latest) {
      if (mono < oldest.until) break;
      oldest.failure = undefined;
      this.#latest.delete(oldest);
    }
    const backoffMs = BACKOFF_MS * (1 - random / 2);
    // Others were answered meanwhile.
    const isAlone = failure.evidence === 'none';
    const isOwn = isAlone && failure.kind === 'timeout';
    // Alone, a good key may fail in other ways at the one bad backend. Known keys that fail again wait five times as long: many
    // of them would leave no question to callers who want no cached verdict.
    if ((isAlone ? isOwn || failure.kind === 'rate_limited' : entry) && failure.attempts > 0)
      this.#limited.set(fingerprint, mono + backoffMs * (isAlone && entry?.backoff ? 5 : 1));
    if (!entry) return;
    // It may have hung in an outage that is over: only the second time it is this key.
    const until = mono + (isOwn && !entry.backoff?.isOwn ? 0 : backoffMs);
    entry.backoff = { until, since: entry.backoff?.since ?? mono, failure, isOwn };
    this.#latest.add(entry.backoff);
  }
}
