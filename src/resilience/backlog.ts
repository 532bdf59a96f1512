/**
 * A server may need so many times as long as the latest answers say, since they are an average. With 2, a steady stream of
 * questions would hide an outage: each overlaps with those before it and those after it, which counts all of them twice.
 */
const CAUTION = 1.25;

/** After so many time-outs without an answer it is an outage, whatever is asked meanwhile. */
const LONGEST_TIMEOUTS = 10;

/** A silence shorter than this part of the time-out says nothing. */
const QUIET_RATIO = 1 / 4;

/**
 * Whether the server may still be at work on what it was sent. One that works on a burst all at once answers none of it for
 * as long as all of it takes: to us it looks like one that is down.
 */
export class Backlog {
  readonly #timeoutMs: number;
  /** So many at once are never too many: others have to be able to tell an outage. */
  readonly #few: number;
  /** How many were sent since the latest answer, or were on their way then; not those that failed by themselves. */
  #unanswered = 0;
  #since = 0;

  constructor(timeoutMs: number, few: number) {
    this.#timeoutMs = timeoutMs;
    this.#few = few;
  }

  /** A request is about to be sent. */
  add(mono: number): void {
    if (this.#unanswered++ === 0) this.#since = mono;
  }

  /** A request failed, and the server is done with it. */
  drop(): void {
    this.#unanswered--;
  }

  /** One was answered, and so many are left. */
  recordAnswer(mono: number, left: number): void {
    this.#unanswered = left;
    this.#since = mono;
  }

  /** Whether it lasts, where the server works for so long on a request, in milliseconds. */
  lasts(mono: number, workMs: number): boolean {
    const quietMs = mono - this.#since;
    const isBurst = this.#unanswered > this.#few && quietMs >= this.#timeoutMs * QUIET_RATIO;
    return isBurst && quietMs < Math.min(CAUTION * this.#unanswered * workMs, LONGEST_TIMEOUTS * this.#timeoutMs);
  }
}
