import type { Clock } from 'keyverify';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Both clocks and the timers, standing still until a test says otherwise. */
export class FakeClock implements Clock {
  #wall = Date.parse('2026-01-01T00:00:00Z');
  #mono = 1_000;
  readonly #timers = new Set<Timer>();

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#mono;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#mono + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass on both clocks: runs what falls due, in order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#mono + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pass(Math.max(0, next.at - this.#mono));
      this.#timers.delete(next);
      next.run();
      await flush();
    }
    this.#pass(end - this.#mono);
    await flush();
  }

  /** Moves the wall clock alone, as a correction by NTP does. No timer runs. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  /** Moves the monotonic clock alone. No timer runs. */
  jumpMono(ms: number): void {
    this.#mono += ms;
  }

  #pass(ms: number): void {
    this.#wall += ms;
    this.#mono += ms;
  }

  #next(end: number): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

/** Everything that only waits for other promises is done after this. */
async function flush(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
