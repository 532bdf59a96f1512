import type { Clock } from '../core/clock.js';

/** How often the event loop is looked at while anybody watches, in milliseconds. */
const TICK_MS = 20;

/** When the event loop was late for a larger part of a wait, the wait says nothing about others. */
const LOST_RATIO = 0.5;

/** Whether a wait may have been too long because of this process: many short delays add up as one long one does. */
export function isOwnLag(lagMs: number, waitedMs: number): boolean {
  return lagMs > waitedMs * LOST_RATIO;
}

/** How late the event loop was from some moment on: so much of any wait since then is our own doing. */
export interface LagWatch {
  /** In milliseconds so far. */
  readonly ms: number;
  readonly stop: () => void;
}

export const NO_LAG: LagWatch = { ms: 0, stop: () => undefined };

/**
 * Measures by a timer how late the event loop of this process is, as long as anybody watches. The timer then runs out by
 * itself: to stop it and set it anew for each of many short questions would take as long as reading their answers.
 */
export class LoopLag {
  readonly #clock: Clock;
  #watchers = 0;
  #lostMs = 0;
  /** When the timer is due; `Infinity` while there is none. */
  #dueAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(): LagWatch {
    this.#watchers++;
    if (this.#dueAt === Infinity) this.#tick();
    return new Watch(this, this.totalMs);
  }

  unwatch(): void {
    this.#watchers--;
  }

  /** A timer that is overdue counts already: answers may be read before it runs. */
  get totalMs(): number {
    return this.#lostMs + Math.max(0, this.#clock.monotonic() - this.#dueAt);
  }

  #tick(): void {
    this.#dueAt = this.#clock.monotonic() + TICK_MS;
    this.#clock.after(
      TICK_MS,
      () => {
        this.#lostMs = this.totalMs;
        this.#dueAt = Infinity;
        if (this.#watchers > 0) this.#tick();
      },
      true,
    );
  }
}

/** A class, since there is one for each question. */
class Watch implements LagWatch {
  readonly #lag: LoopLag;
  readonly #beforeMs: number;

  constructor(lag: LoopLag, beforeMs: number) {
    this.#lag = lag;
    this.#beforeMs = beforeMs;
  }

  get ms(): number {
    return this.#lag.totalMs - this.#beforeMs;
  }

  stop(): void {
    this.#lag.unwatch();
  }
}
