/** Where time comes from. Both clocks count in milliseconds; only a test has a reason to replace them. */
export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction. */
  wall(): number;
  /** Milliseconds since any fixed moment. Never goes back, but may stand still while the machine sleeps. */
  monotonic(): number;
  /** Runs `run` once after `ms`, unless the function it returns is called first. */
  after(ms: number, run: () => void): () => void;
}

/** One moment on both clocks. */
export interface Instant {
  readonly wall: number;
  readonly mono: number;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Tells the moment, reading the system's monotonic clock once a millisecond only: every hit asks, and a reading costs as
 * much as looking up a verdict. An age found by it falls short by less than that millisecond.
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
