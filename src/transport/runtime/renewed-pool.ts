import type { Dispatcher } from '../dispatcher.js';

/** What undici keeps connections in. */
export interface Pool extends Dispatcher {
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/**
 * A pool that makes room for a new one once it has lived for `lifeMs`: no connection lives longer. undici's own `clientTtl`
 * reads the clock for each busy connection that it passes, which at 64 of them is 2 µs for each request.
 */
export class RenewedPool {
  readonly #open: () => Pool;
  readonly #lifeMs: number;
  #pool: Pool;
  #endsAt: number;
  /** Those that wait for their last answers. */
  readonly #retired = new Set<Pool>();

  constructor(open: () => Pool, lifeMs: number) {
    this.#open = open;
    this.#lifeMs = lifeMs;
    this.#pool = open();
    this.#endsAt = performance.now() + lifeMs;
  }

  get current(): Dispatcher {
    if (performance.now() > this.#endsAt) {
      void this.#retire(this.#pool);
      this.#pool = this.#open();
      this.#endsAt = performance.now() + this.#lifeMs;
    }
    return this.#pool;
  }

  /** Ends all requests. */
  async destroy(): Promise<void> {
    this.#endsAt = Infinity;
    await Promise.all([this.#pool, ...this.#retired].map((pool) => pool.destroy()));
  }

  async #retire(pool: Pool): Promise<void> {
    this.#retired.add(pool);
    await pool.close();
    this.#retired.delete(pool);
  }
}
