import { isObject } from './schema.js';

/** Where time comes from. Both clocks count in milliseconds; only a test has a reason to replace them. */
export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction. */
  wall(): number;
  /** Milliseconds since any fixed moment. Never goes back, but may stand still while the machine sleeps. */
  monotonic(): number;
  /**
   * Runs `run` once after `ms`, unless the function it returns is called first. A `background` timer doesn't keep the
   * process alive.
   */
  after(ms: number, run: () => void, background?: boolean): () => void;
}

/** One moment on both clocks. */
export interface Instant {
  readonly wall: number;
  readonly mono: number;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run, background = false) {
    const timer = setTimeout(run, ms);
    if (background && canUnref(timer)) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Node, Bun and Deno return an object; browsers and isolates a number, and end with the page or the request. */
function canUnref(timer: unknown): timer is { unref(): void } {
  return isObject(timer) && 'unref' in timer;
}

/**
 * Tells the time, reading the system's monotonic clock only when the wall clock has moved by a millisecond: every hit
 * asks, and a reading costs as much as looking up a verdict. An age found by it falls short by less than a millisecond.
 */
export function cachedClock(clock: Clock): () => Instant {
  if (clock !== systemClock) return () => ({ wall: clock.wall(), mono: clock.monotonic() });
  let now: Instant = { wall: NaN, mono: NaN };
  return () => {
    const wall = Date.now();
    if (wall !== now.wall) now = { wall, mono: performance.now() };
    return now;
  };
}
