import type { Clock } from '../core/clock.js';

export const TIMED_OUT = Symbol('timed out');

/** The moment by which an answer is due, whatever is tried until then. */
export class Deadline {
  readonly #clock: Clock;
  readonly #endsAt: number;

  /** Begins `now`, on the monotonic clock. */
  constructor(clock: Clock, ms: number, now = clock.monotonic()) {
    this.#clock = clock;
    this.#endsAt = now + ms;
  }

  /** How many milliseconds are left. */
  get leftMs(): number {
    return Math.max(0, this.#endsAt - this.#clock.monotonic());
  }

  /** A deadline after one of so many equal shares of what is left. */
  share(shares: number): Deadline {
    const now = this.#clock.monotonic();
    return new Deadline(this.#clock, Math.max(0, this.#endsAt - now) / shares, now);
  }

  /** Whatever `work` comes to, or `TIMED_OUT` when the time is up: also where `work` never settles. */
  race<T>(work: Promise<T>): Promise<T | typeof TIMED_OUT> {
    return new Promise((resolve, reject) => {
      // One more turn of the event loop: an answer that came in while this process was busy is not a time-out, which
      // matters, because a time-out may fail open and our own load must not.
      let cancel = this.#clock.after(this.leftMs, () => {
        cancel = this.#clock.after(0, () => resolve(TIMED_OUT));
      });
      work.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          reject(error);
        },
      );
    });
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => void this.#clock.after(ms, resolve));
  }
}
