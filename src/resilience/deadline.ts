import type { Clock } from '../core/clock.js';

export const TIMED_OUT = Symbol('timed out');

/** When a timer fires later than this, this process was too busy for its timeouts to say anything about others. */
const LATE_MS = 50;
const LATE_RATIO = 0.2;

/** An answer takes about so many passes of the event loop, here and through the sockets. */
const PASSES = 4;

/** The moment by which an answer is due, retries included. */
export class Deadline {
  readonly #clock: Clock;
  /** How much time there was in the beginning, in milliseconds. */
  readonly ms: number;
  readonly #endsAt: number;
  #late = false;
  #timeUp: (() => void) | undefined;

  /** Begins `now`, on the monotonic clock. */
  constructor(clock: Clock, ms: number, now = clock.monotonic()) {
    this.#clock = clock;
    this.ms = ms;
    this.#endsAt = now + ms;
  }

  /** How many milliseconds are left. */
  get leftMs(): number {
    return Math.max(0, this.#endsAt - this.#clock.monotonic());
  }

  /** Ends the wait that is under way, but not the time. */
  interrupt(): void {
    this.#timeUp?.();
  }

  /**
   * Whether our own load may be why the time was up: a timer of this deadline fired late, or a few passes of the event loop
   * take long now.
   */
  async isOwnLoad(): Promise<boolean> {
    const startedAt = this.#clock.monotonic();
    for (let pass = 0; pass < PASSES && !this.#late; pass++)
      await new Promise<void>((resolve) => void this.#clock.after(0, resolve));
    return this.#late || this.#isLate(this.#clock.monotonic() - startedAt);
  }

  /** Resolves as `work` does, or to `TIMED_OUT` after `ms` or when the time is up, even if `work` never settles. */
  race<T>(work: Promise<T>, ms = this.leftMs): Promise<T | typeof TIMED_OUT> {
    return new Promise((resolve, reject) => {
      const dueAt = this.#clock.monotonic() + ms;
      const timeUp = (): void => {
        end();
        resolve(TIMED_OUT);
      };
      let cancel = this.#clock.after(ms, () => {
        this.#late ||= this.#isLate(this.#clock.monotonic() - dueAt);
        // One more pass of the event loop: an answer that came in while this process was busy is not a timeout.
        cancel = this.#clock.after(0, timeUp);
      });
      const end = (): void => {
        cancel();
        // A deadline in the old generation would keep all of this alive until a major collection. A later race may have begun.
        if (this.#timeUp === timeUp) this.#timeUp = undefined;
      };
      this.#timeUp = timeUp;
      work.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  #isLate(ms: number): boolean {
    return ms > Math.max(LATE_MS, this.ms * LATE_RATIO);
  }
}
