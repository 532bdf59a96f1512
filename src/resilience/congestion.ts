/** Within this part of the time-out, no answer says that requests queue. */
const QUICK_RATIO = 1 / 4;

/** Within this part of the time-out, an answer says that one more can be borne. */
const PROMPT_RATIO = 1 / 2;

/** Of what is answered within a time-out, this part may be on its way at once: all of it would be answered too late. */
const BEARABLE_PART = 0.8;

/**
 * Answers count for this part of the time-out on average, older ones less. The latest one counts half: it stands for the time
 * before and after it.
 */
const SPAN_RATIO = 1 / 2;
const LATEST_COUNTS = 1 / 2;

/** For so many time-outs after its last answer, a congested server may still be working on what it was sent. */
const SILENT_TIMEOUTS = 20;

/**
 * Whether requests queue at the server for so long that they are answered too late. By Little's law, as many are on their way
 * as are answered in the time that an answer takes. An answer that another one overtook by far says nothing: that request was
 * slow by itself.
 */
export class Congestion {
  readonly #timeoutMs: number;
  /** How many requests were answered of late; older ones weigh less. */
  #answers = 0;
  #lastAnswerAt = -Infinity;
  /** The latest request that was answered. */
  #latestSentAt = -Infinity;
  /** When an answer last said that too many were on their way. */
  #congestedAt = -Infinity;
  #bearsMore = true;
  #reducedAt = -Infinity;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Whether the server was congested when it last answered, and may be still. */
  lasts(mono: number): boolean {
    return this.#wasCongested && mono - this.#lastAnswerAt < SILENT_TIMEOUTS * this.#timeoutMs;
  }

  /** A request was answered while so many others were on their way. */
  record(mono: number, sentAt: number, latencyMs: number, others: number): void {
    this.#answers = this.#answers * Math.exp((this.#lastAnswerAt - mono) / (this.#timeoutMs * SPAN_RATIO)) + 1;
    this.#lastAnswerAt = mono;
    const quickMs = this.#timeoutMs * QUICK_RATIO;
    const isOvertaken = sentAt < this.#latestSentAt - quickMs;
    this.#latestSentAt = Math.max(this.#latestSentAt, sentAt);
    if (latencyMs <= quickMs) this.#congestedAt = -Infinity;
    else if (!isOvertaken && others > this.bearable) this.#congestedAt = mono;
    const isPrompt = latencyMs < this.#timeoutMs * PROMPT_RATIO;
    this.#bearsMore = !this.#wasCongested && (isPrompt || others < this.bearable);
  }

  /** How many may be on their way at once, by the latest answers. */
  get bearable(): number {
    return (BEARABLE_PART * (this.#answers - LATEST_COUNTS)) / SPAN_RATIO;
  }

  /** Whether one more than now may be. */
  get bearsMore(): boolean {
    return this.#bearsMore;
  }

  /** Answers come in bursts where several processes ask: the last one alone doesn't tell. */
  get #wasCongested(): boolean {
    return this.#lastAnswerAt - this.#congestedAt < this.#timeoutMs;
  }

  /** A request was not answered in time: whether fewer may be sent, which those that were sent before can't yet show. */
  endsRound(mono: number, sentAt: number): boolean {
    if (!this.lasts(mono) || sentAt < this.#reducedAt) return false;
    this.#reducedAt = mono;
    return true;
  }
}
