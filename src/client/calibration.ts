const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 300_000;

/**
 * When to ask a control question while the key server answers, to learn how it answers one: without one that was answered,
 * no outage is ever proven. One that failed may have had bad luck, so another is due after a pause that doubles each time;
 * after one that was answered, the next is due at once.
 */
export class Calibration {
  /** Whether a failure may let a caller in: only then is it worth a question. */
  isNeeded = false;
  #dueAt = -Infinity;
  #pauseMs = PAUSE_MS;

  /** Returns whether one is due now; the next one is then due after a pause. */
  isDue(mono: number, isAnswered: boolean): boolean {
    if (!this.isNeeded || (mono < this.#dueAt && !isAnswered)) return false;
    if (isAnswered) this.#pauseMs = PAUSE_MS;
    this.#dueAt = mono + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    return true;
  }
}
