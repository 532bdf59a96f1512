import type { Clock } from '../core/clock.js';

/** For every request that may run at once, this many more may wait in each lane. */
const QUEUE_PER_SLOT = 64;

/**
 * Bounds how many requests run at once and how many wait. Questions about known keys have a lane of their own and go
 * first: a flood of made-up keys doesn't keep real ones from being refreshed.
 */
export class Bulkhead {
  readonly #clock: Clock;
  readonly #maxConcurrency: number;
  readonly #lanes = { known: new Set<() => void>(), unknown: new Set<() => void>() };
  #active = 0;

  constructor(maxConcurrency: number, clock: Clock) {
    this.#clock = clock;
    this.#maxConcurrency = maxConcurrency;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#lanes.known.size + this.#lanes.unknown.size;
  }

  /** Takes a free slot, if there is one. */
  tryAcquire(): boolean {
    if (this.#active >= this.#maxConcurrency) return false;
    this.#active++;
    return true;
  }

  /** Waits up to `ms` for a slot; `false` if the lane is full or none came free in time. */
  async acquire(lane: 'known' | 'unknown', ms: number): Promise<boolean> {
    const waiters = this.#lanes[lane];
    if (waiters.size >= this.#maxConcurrency * QUEUE_PER_SLOT) return false;
    return await new Promise((resolve) => {
      const admit = (): void => {
        waiters.delete(admit);
        cancel();
        resolve(true);
      };
      const cancel = this.#clock.after(ms, () => {
        waiters.delete(admit);
        resolve(false);
      });
      waiters.add(admit);
    });
  }

  /** Gives a slot back, to whoever has waited longest. */
  release(): void {
    const [next] = this.#lanes.known.size > 0 ? this.#lanes.known : this.#lanes.unknown;
    if (next === undefined) this.#active--;
    else next();
  }
}
