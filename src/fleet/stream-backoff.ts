/** Pauses before a source is called again, in milliseconds; half of each is random. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** After so many ends in a row, each soon after it had worked, a stream is said to end again and again. */
const UNSTEADY_ENDS = 3;

/**
 * When a stream that ended is opened again: ever later, until it has lived for a heartbeat. That it worked at first is not
 * enough: a proxy may end each response at once, and a step may fail that comes after the first read.
 */
export class StreamBackoff {
  /** The longest pause after a stream that worked: a longer one would make it seem silent. */
  readonly lateMs: number;
  readonly #heartbeatMs: number;
  readonly #random: () => number;
  #openedAt = -Infinity;
  #hasWorked = false;
  #ends = 0;
  #endsThatWorked = 0;

  constructor(heartbeatMs: number, random: () => number) {
    this.lateMs = Math.min(LONGEST_PAUSE_MS, heartbeatMs);
    this.#heartbeatMs = heartbeatMs;
    this.#random = random;
  }

  /** Whether it ends again and again, each time soon after it has worked. */
  get isUnsteady(): boolean {
    return this.#endsThatWorked >= UNSTEADY_ENDS;
  }

  open(mono: number): void {
    this.#openedAt = mono;
    this.#hasWorked = false;
  }

  /** It works. */
  works(mono: number): void {
    this.#hasWorked = true;
    if (mono - this.#openedAt < this.#heartbeatMs) return;
    this.#ends = 0;
    this.#endsThatWorked = 0;
  }

  /** It ended; returns after how long it is to be opened again, in milliseconds. */
  end(): number {
    const longestMs = this.#hasWorked ? this.lateMs : LONGEST_PAUSE_MS;
    if (this.#hasWorked) this.#endsThatWorked++;
    return Math.min(longestMs, FIRST_PAUSE_MS * 2 ** this.#ends++) * (1 - this.#random() / 2);
  }
}
