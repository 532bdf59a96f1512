/**
 * The estimate of the work is an average, so allow this many times as long. A factor of 2 would hide an outage under steady
 * traffic, where each request overlaps with those before it and those after it.
 */
const CAUTION = 1.25;

/** How many timeouts of silence a backlog explains. A longer one is an outage. */
const LONGEST_TIMEOUTS = 10;

/** The part of the timeout below which a silence means nothing. */
const QUIET_RATIO = 1 / 4;

/**
 * Tells whether the server may still be working on what it was sent. A server that works on all requests of a burst at once
 * answers none of them until it is nearly done with all. Until then it looks as if it were down.
 */
export class Backlog {
  readonly #timeoutMs: number;
  /** This many requests are never a backlog, or an outage could not be told from one. */
  readonly #few: number;
  /** Requests in flight at the latest answer or sent since, without those that failed by themselves. */
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

  /** The server is done with a request. */
  drop(): void {
    this.#unanswered--;
  }

  /** A request was answered, with this many others in flight. */
  recordAnswer(mono: number, inFlight: number): void {
    this.#unanswered = inFlight;
    this.#since = mono;
  }

  /** Whether the server may still be at work. `workMs`: how long it works on one request. */
  lasts(mono: number, workMs: number): boolean {
    const quietMs = mono - this.#since;
    const isBurst = this.#unanswered > this.#few && quietMs >= this.#timeoutMs * QUIET_RATIO;
    return isBurst && quietMs < Math.min(CAUTION * this.#unanswered * workMs, LONGEST_TIMEOUTS * this.#timeoutMs);
  }
}
