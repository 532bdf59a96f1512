import { setImmediate, setTimeout } from 'node:timers/promises';

import type { Clock } from '../core/clock.js';
import { checkAdvance, checkJump, checkSettle, checkTestClock } from './validate.js';

/** Real time for a network that is late, after the last step. */
const GRACE_MS = 2_000;

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** The options of `testClock()`. */
export interface TestClockOptions {
  /** What the wall clock shows at first: a `Date`, or epoch milliseconds. Default: 2026-01-01T00:00:00Z. */
  readonly wall?: Date | number | undefined;
}

/** A clock that stands still until it is advanced, made by `testClock()`. Times are in milliseconds. */
export class TestClock implements Clock {
  #wall: number;
  #mono = 1_000;
  readonly #timers = new Set<Timer>();

  constructor({ wall = Date.UTC(2026, 0) }: TestClockOptions) {
    this.#wall = Number(wall);
  }

  // Functions, not methods: `now: clock.wall` passes them on without the clock.
  /** What the wall clock shows, in epoch milliseconds. */
  readonly wall = (): number => this.#wall;

  /** What the monotonic clock shows, in milliseconds. */
  readonly monotonic = (): number => this.#mono;

  /** Sets a timer, which only `advance()` runs. Returns a function that cancels it. */
  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.#mono + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** How many timers are set, background timers included. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Advances both clocks by `ms` milliseconds. Runs the timers that fall due in between, in order, each at its own time. After
   * each timer, and at the end, promises get a chance to settle. Rejects with the error that a timer throws, and with
   * `InvalidOptionsError` if `ms` isn't a number, 0 or more.
   */
  async advance(ms: number): Promise<void> {
    checkAdvance(ms);
    const end = this.#mono + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#move(Math.max(0, next.at - this.#mono));
      this.#timers.delete(next);
      next.run();
      await setImmediate();
    }
    this.#move(end - this.#mono);
    await setImmediate();
  }

  /**
   * Advances in steps until the promise has settled, by up to `atMostMs` milliseconds, and returns what it resolves to. Before
   * each step, sockets and promises get a millisecond of real time: a network knows nothing of this clock, and would be
   * overtaken by it. After the last one, they get up to two seconds; then it rejects. Rejects with `InvalidOptionsError` if
   * `promise` is none, `atMostMs` isn't a number, 0 or more, or `stepMs` not a positive one.
   */
  async settle<T>(promise: Promise<T>, atMostMs: number, stepMs = 10): Promise<T> {
    checkSettle(promise, atMostMs, stepMs);
    const settled = promise.then(
      () => true,
      () => true,
    );
    const isSettled = async (withinMs: number): Promise<boolean> => {
      const timer = new AbortController();
      const { signal } = timer;
      const late = setTimeout(withinMs, false, { signal }).catch(() => false);
      const is = await Promise.race([settled, late]);
      timer.abort();
      return is;
    };
    for (let passed = 0; passed < atMostMs && !(await isSettled(1)); passed += stepMs) await this.advance(stepMs);
    if (await isSettled(GRACE_MS)) return await promise;
    throw new Error(
      `keyverify: the promise has not settled within ${atMostMs} ms of this clock: ` +
        'give it longer, or pass this clock to what it waits for',
    );
  }

  /**
   * Moves only the wall clock, forwards or backwards, by `ms` milliseconds, as NTP may do. Runs no timer. Throws
   * `InvalidOptionsError` if `ms` isn't a number.
   */
  jumpWall(ms: number): void {
    checkJump(ms);
    this.#wall += ms;
  }

  /**
   * Moves only the monotonic clock, forwards, by `ms` milliseconds. Runs no timer: those that are due run at the next
   * `advance()`. Throws `InvalidOptionsError` if `ms` isn't a number, 0 or more.
   */
  jumpMono(ms: number): void {
    checkAdvance(ms);
    this.#mono += ms;
  }

  #move(ms: number): void {
    this.#wall += ms;
    this.#mono += ms;
  }

  #next(end: number): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

/**
 * A clock for the option `clock` of a `KeyVerifier`, so that no test has to wait for a TTL. Throws `InvalidOptionsError` for
 * wrong options.
 *
 * @example
 * ```ts
 * const clock = testClock();
 * await using verifier = new KeyVerifier({ verifyUrl, serviceToken, clock });
 * await verifier.verify('sk-1');
 * await clock.advance(300_000); // cacheTtlMs: the next call asks again
 * ```
 */
export function testClock(options: TestClockOptions = {}): TestClock {
  checkTestClock(options);
  return new TestClock(options);
}
