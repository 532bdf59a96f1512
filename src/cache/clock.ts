/** Where time comes from. Both clocks count in milliseconds; only a test has a reason to replace them. */
export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction. */
  wall(): number;
  /** Milliseconds since any fixed moment. Never goes back, but may stand still while the machine sleeps. */
  monotonic(): number;
  /** Runs `run` once after `ms`, unless the function it returns is called first. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
