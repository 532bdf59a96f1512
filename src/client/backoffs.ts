import { LRUCache } from 'lru-cache';

import { sharesPromises } from '#platform';
import type { Backoff, Entry } from '../cache/entry.js';
import type { VerifyFailure } from '../core/failure.js';
import type { KeyQuestion } from './question.js';

/** How long a key isn't asked about after a failure, at most, in milliseconds. Half of it is random. */
const BACKOFF_MS = 1000;

/** How many keys that failed, and how many that wait for a turn, are remembered. */
const MOST_KEYS = 1_000;

/** A key that may be asked about during a pause. */
export type Asking = Pick<KeyQuestion, 'fingerprint' | 'key' | 'isKnown'>;

/** Keys that aren't asked about for a while after a failure, and those that wait for their turn during a pause. */
export class Backoffs<Claims> {
  /** The oldest first. */
  readonly #latest = new Set<Backoff>();
  /** Until when keys that failed aren't asked about during a pause, by fingerprint. */
  readonly #limited = new LRUCache<string, number>({ max: MOST_KEYS });
  /** Known keys, by fingerprint. */
  readonly #waiting = new LRUCache<string, Asking>({ max: MOST_KEYS });

  /**
   * Whose turn it is, if `tryTake` gives one: of the known keys that wait, the one that could have been asked about for the
   * longest time. Otherwise those who ask most often would get all turns.
   */
  turn(asking: Asking, mono: number, tryTake: (yields: boolean) => boolean): Asking | undefined {
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

  /** The key was answered with a verdict, so an outage is over: nobody need wait, and no key be kept. */
  end(fingerprint: string): void {
    // Neither is for nothing, even where there is nothing to do.
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
    // Others were answered meanwhile. Many such keys would leave no turn to a known one whose caller wants no cached verdict.
    const isAlone = failure.evidence === 'none';
    const isOwn = isAlone && failure.kind === 'timeout';
    // Alone, a good key may fail in other ways at the one bad backend.
    if ((isAlone ? isOwn || failure.kind === 'rate_limited' : entry) && failure.attempts > 0)
      this.#limited.set(fingerprint, mono + backoffMs * (isAlone && entry?.backoff ? 5 : 1));
    if (!entry) return;
    // It may have hung in an outage that is over: only the second time it is this key.
    const until = mono + (isOwn && !entry.backoff?.isOwn ? 0 : backoffMs);
    entry.backoff = { until, since: entry.backoff?.since ?? mono, failure, isOwn };
    this.#latest.add(entry.backoff);
  }
}
