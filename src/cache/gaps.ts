import type { Instant } from '../core/clock.js';
import type { AskedAt } from './invalidation-log.js';

/** A moment at which revocations may have been lost, and where the log of invalidations stood. */
interface Gap extends Instant {
  readonly position: number;
  /** Within this time, suspect verdicts are asked about again. */
  readonly windowMs: number;
}

const MOST_GAPS = 16;

/** When revocations may have been lost. What was asked for before one of these moments is suspect from then on. */
export class Gaps {
  /** The oldest first. */
  readonly #gaps: Gap[] = [];

  add(gap: Gap): void {
    this.#gaps.push(gap);
    const [first, second] = this.#gaps;
    // Two become one: what was asked for before the second is then suspect since the first.
    if (this.#gaps.length > MOST_GAPS && first !== undefined && second !== undefined)
      this.#gaps.splice(0, 2, { ...first, position: second.position });
  }

  /** The first one of those after which a verdict wasn't asked for. */
  firstSince(asked: AskedAt): Gap | undefined {
    return this.#gaps.find((gap) => (typeof asked === 'number' ? asked < gap.position : asked.mono <= gap.mono));
  }
}
