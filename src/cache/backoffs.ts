import type { VerifyFailure } from '../core/failure.js';
import type { Entry } from './entry.js';

/** How long a key isn't asked about after a failure, at most, in milliseconds. Half of it is random. */
const BACKOFF_MS = 1000;

/** Entries that back off after a failure, the oldest first. */
export class Backoffs<Claims> {
  readonly #entries = new Set<Entry<Claims>>();

  begin(entry: Entry<Claims> | undefined, failure: VerifyFailure, mono: number, random: number): void {
    // A failure weighs more than a verdict: in a long outage, every entry would come to hold one.
    for (const oldest of this.#entries) {
      if (oldest.backoffFailure(mono) !== undefined) break;
      if (oldest.backoff !== undefined) oldest.backoff.failure = undefined;
      this.#entries.delete(oldest);
    }
    if (entry === undefined) return;
    const since = entry.backoff?.since ?? mono;
    // Others were answered meanwhile. It may have hung in an outage that is over: only the second time it is this key.
    const isOwn = failure.kind === 'timeout' && failure.evidence === 'none';
    const backoffMs = isOwn && entry.backoff?.isOwn !== true ? 0 : BACKOFF_MS * (1 - random / 2);
    entry.backoff = { until: mono + backoffMs, since, failure, isOwn };
    this.#entries.delete(entry);
    this.#entries.add(entry);
  }
}
