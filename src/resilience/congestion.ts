/** The part of the timeout within which no answer says that requests queue. */
const QUICK_RATIO = 1 / 4;

/** The part of what is answered within a timeout that may be in flight at once: all of it would be answered too late. */
const CAPACITY_RATIO = 0.8;

/**
 * The part of the timeout for which answers count on average, older ones less. The latest one counts half: it stands for the
 * time before and after it.
 */
const SPAN_RATIO = 1 / 2;
const LATEST_COUNTS = 1 / 2;

/** For how many timeouts after its last answer a congested server may still be working. */
const SILENT_TIMEOUTS = 20;

/** The requests that wait for an answer. */
export interface InFlight {
  readonly size: number;
  /** How many of them were sent at this moment or later. */
  sentSince(mono: number): number;
}

/**
 * Whether requests queue at the server for so long that they are answered too late. By Little's law, as many are in flight
 * as are answered in the time that an answer takes. Those that were sent before the one that was answered don't count: it
 * has overtaken them, as it can't in a queue.
 */
export class Congestion {
  readonly #timeoutMs: number;
  /** How many requests were answered of late; older ones weigh less. */
  #answers = 0;
  #countedAt = -Infinity;
  #lastAnswerAt = -Infinity;
  /** When the latest request was sent that was answered. */
  #answeredSentAt = -Infinity;
  /** When an answer last said that too many were in flight. */
  #congestedAt = -Infinity;
  /** Whether one has: where none did, nothing has to be reckoned for an answer, which costs a miss 160 bytes. */
  #isMarked = false;
  #roundEndedAt = -Infinity;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Whether the server was congested when it last answered, and may be still. */
  lasts(mono: number): boolean {
    return this.#isMarked && this.#wasCongested && mono - this.#lastAnswerAt < SILENT_TIMEOUTS * this.#timeoutMs;
  }

  /** A request was answered. */
  record(mono: number, sentAt: number, latencyMs: number, inFlight: InFlight): void {
    this.#answers = this.#answers * Math.exp((this.#countedAt - mono) / (this.#timeoutMs * SPAN_RATIO)) + 1;
    this.#countedAt = mono;
    this.#lastAnswerAt = mono;
    this.#answeredSentAt = Math.max(this.#answeredSentAt, sentAt);
    const isQuick = latencyMs <= this.#timeoutMs * QUICK_RATIO;
    this.#isMarked &&= this.#wasCongested;
    if (isQuick && !this.#isMarked) return;
    const others = inFlight.sentSince(sentAt);
    if (inFlight.size === 0) this.#isMarked = false;
    else if (!isQuick && others > this.capacity) {
      this.#congestedAt = mono;
      this.#isMarked = true;
    }
  }

  /** What is in flight is answered in time, as a request was that was sent then. */
  end(mono: number, sentAt: number): void {
    this.#lastAnswerAt = mono;
    this.#answeredSentAt = Math.max(this.#answeredSentAt, sentAt);
    this.#isMarked = false;
  }

  /** How many may be in flight at once, by the latest answers. */
  get capacity(): number {
    return (CAPACITY_RATIO * (this.#answers - LATEST_COUNTS)) / SPAN_RATIO;
  }

  /** Answers come in bursts where several processes ask: the last one alone doesn't tell. */
  get #wasCongested(): boolean {
    return this.#lastAnswerAt - this.#congestedAt < this.#timeoutMs;
  }

  /** Whether nobody was answered since a round ended. */
  get isSilent(): boolean {
    return this.#lastAnswerAt < this.#roundEndedAt;
  }

  /**
   * Told of a request that timed out under congestion. Returns whether to lower the limit: once for all requests sent before it
   * was last lowered, and not for a request that a later one has overtaken.
   */
  endsRound(mono: number, sentAt: number): boolean {
    if (sentAt < Math.max(this.#roundEndedAt, this.#answeredSentAt)) return false;
    this.#roundEndedAt = mono;
    return true;
  }
}
