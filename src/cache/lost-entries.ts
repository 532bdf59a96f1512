import type { Entry } from './entry.js';
import { TTL_JITTER, type VerdictCacheOptions } from './verdict-cache.js';

/** How long after the first refreshes of a verdict are due all processes count as having heard of it, as a part of the TTL. */
const SPREAD = 0.01;

const MAX_ENTRIES = 16_384;

/**
 * Verdicts that are refreshed late, since the shared cache has lost what other processes knew: a store that was emptied
 * must not bring all refreshes at once that would have found a newer verdict there.
 */
export class LostEntries<Claims> {
  readonly #options: Pick<VerdictCacheOptions, 'cacheTtlMs' | 'refreshAheadRatio' | 'random'>;
  readonly #waiting = new Set<string>();

  constructor(options: Pick<VerdictCacheOptions, 'cacheTtlMs' | 'refreshAheadRatio' | 'random'>) {
    this.#options = options;
  }

  /**
   * Puts the refresh of a verdict that the store doesn't know off once, into the last quarter of the time for which it is
   * fresh; `false` if it is to be refreshed now. The first to find a verdict due does so: its age is the same everywhere.
   */
  putOff(fingerprint: string, entry: Entry<Claims>, age: number): boolean {
    const { cacheTtlMs, refreshAheadRatio, random } = this.#options;
    if (age < cacheTtlMs * (refreshAheadRatio * (1 - TTL_JITTER) + SPREAD)) return false;
    if (this.#waiting.delete(fingerprint)) return false;
    // Once more for each is better than without a bound.
    if (this.#waiting.size >= MAX_ENTRIES) this.#waiting.clear();
    this.#waiting.add(fingerprint);
    entry.deferRefresh(age, () => (1 + random()) / 2);
    return true;
  }
}
