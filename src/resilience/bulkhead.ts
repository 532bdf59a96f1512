import type { Clock } from '../core/clock.js';
import { LinkedList, type Linked } from './linked-list.js';

/** How many may wait in each lane for every request that may run at once. */
const QUEUE_PER_SLOT = 64;

/** The limit of the `low` lane until the first answer shows how long the server takes, and from then on. */
const COLD_LOW_LIMIT = 8;
const INITIAL_LOW_LIMIT = 48;

/**
 * The part of all slots that shed load leaves to the `low` lane: a caller's key may be why a server answers as if it shed load,
 * and requests that hang would soon have taken what is left.
 */
const SHED_FLOOR = 0.25;

/**
 * The part of all slots that the `high` lane leaves to the other one: otherwise a few callers whose keys are known, and asked
 * about all the time or answered slowly, would keep all others out.
 */
const LEFT_TO_LOW = 1 / 8;

/** Requests of the `high` lane go first, and may use nearly every slot. */
export type Lane = 'high' | 'low';

/** The lane of a key. */
export const laneOf = (isKnown: boolean): Lane => (isKnown ? 'high' : 'low');

/**
 * Bounds how many requests run at once and how many wait. Each lane has an adaptive limit of its own: it grows with each
 * answer that shows that the server bears more, and falls when the server is congested; that of the `low` lane also when it
 * sheds load. In the `low` lane the newest goes first: under a flood, each request then has an equal chance, where in order
 * of arrival all would wait until it is too late.
 */
export class Bulkhead {
  readonly #clock: Clock;
  readonly #maxConcurrency: number;
  readonly #waiters = { high: new LinkedList<Waiter>(), low: new LinkedList<Waiter>() };
  readonly #active = { high: 0, low: 0 };
  readonly #maxLimit: Readonly<Record<Lane, number>>;
  readonly #limit: Record<Lane, number>;

  constructor(maxConcurrency: number, clock: Clock) {
    this.#clock = clock;
    this.#maxConcurrency = maxConcurrency;
    const high = Math.ceil(maxConcurrency * (1 - LEFT_TO_LOW));
    // Without a limit there is none for this lane either.
    const low = maxConcurrency === Infinity ? Infinity : Math.min(COLD_LOW_LIMIT, maxConcurrency);
    this.#maxLimit = { high, low: maxConcurrency };
    this.#limit = { high, low };
  }

  get active(): number {
    return this.#active.high + this.#active.low;
  }

  get queued(): number {
    return this.#waiters.high.size + this.#waiters.low.size;
  }

  /** Whether requests of this lane have to wait for a slot. */
  isFull(lane: Lane): boolean {
    return this.active >= this.#maxConcurrency || this.#active[lane] >= this.#limit[lane];
  }

  /** Whether a slot that the `low` lane gives back is one that this lane may take. */
  gainsFromLow(lane: Lane): boolean {
    return lane === 'low' || this.#active.high < this.#limit.high;
  }

  /** Takes a free slot, if there is one. */
  tryAcquire(lane: Lane): boolean {
    if (this.isFull(lane)) return false;
    this.#active[lane]++;
    return true;
  }

  /** Takes a free slot, even beyond the limit of the lane. */
  tryExceed(lane: Lane): boolean {
    if (this.active >= this.#maxConcurrency) return false;
    this.#active[lane]++;
    return true;
  }

  /** Waits up to `ms` for a slot, and then for as long as `moreMs` says; `false` if the lane is full or no slot was free in time. */
  async acquire(lane: Lane, ms: number, moreMs: () => number): Promise<boolean> {
    const waiters = this.#waiters[lane];
    if (waiters.size >= this.#maxConcurrency * QUEUE_PER_SLOT) return false;
    return await new Promise((resolve) => {
      const waiter: Waiter = {
        admit: () => {
          waiters.remove(waiter);
          cancel();
          this.#active[lane]++;
          resolve(true);
        },
      };
      const leave = (): void => {
        waiters.remove(waiter);
        resolve(false);
      };
      let cancel = this.#clock.after(ms, () => {
        cancel = this.#clock.after(moreMs(), leave);
      });
      waiters.add(waiter);
    });
  }

  /** Gives a slot back, to the next that waits. */
  release(lane: Lane): void {
    this.#active[lane]--;
    this.#admit();
  }

  /** The server gave its first answer. */
  start(): void {
    this.#limit.low = Math.max(this.#limit.low, Math.min(INITIAL_LOW_LIMIT, this.#maxConcurrency));
    this.#admit();
  }

  /** The server bears more. */
  grow(lane: Lane): void {
    this.#limit[lane] = Math.min(this.#limit[lane] + 1, this.#maxLimit[lane]);
    this.#admit();
  }

  /** The server is congested: lowers the limit to what it bears, and by half at least, but not below `least`. Those that run keep running. */
  reduceTo(capacity: number, least: number, lane: Lane): void {
    // Without a limit there is none to reduce: on isolates, a slot might never come back.
    if (this.#maxConcurrency === Infinity) return;
    const limit = this.#limit[lane];
    this.#limit[lane] = Math.min(limit, Math.max(1, Math.floor(Math.max(least, Math.min(limit / 2, capacity)))));
  }

  /** The server sheds load. */
  shed(): void {
    const floor = this.#maxConcurrency * SHED_FLOOR;
    const { low } = this.#limit;
    this.#limit.low = Math.min(low, Math.max(Math.floor(low / 2), Math.ceil(floor)));
  }

  #admit(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) next.admit();
  }

  #next(): Waiter | undefined {
    const { high, low } = this.#waiters;
    if (high.size > 0 && !this.isFull('high')) return high.oldest;
    return this.isFull('low') ? undefined : low.newest;
  }
}

interface Waiter extends Linked<Waiter> {
  readonly admit: () => void;
}
