import type { Clock } from '../core/clock.js';
import type { SharedOutcome } from '../core/events.js';
import type { SharedCacheHealth } from '../core/health.js';

export interface SharedCacheMonitorOptions {
  readonly clock: Clock;
  /** Whether the store is bypassed, since it failed several times in a row. */
  readonly isDown: () => boolean;
  /** Finds out whether the store works again. */
  readonly probe: () => unknown;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
}

/** While a store fails, how often it is probed even if nobody needs it, in milliseconds; less often once it is bypassed. */
const PROBE_MS = 1_000;

/** Tells how the shared cache is, by how its latest operations ended. */
export class SharedCacheMonitor {
  readonly #options: SharedCacheMonitorOptions;
  #status: SharedCacheHealth['status'] = 'ok';
  #since: number;
  #failure: SharedCacheHealth['failure'];
  #isClosed = false;
  #cancelProbe: (() => void) | undefined;

  constructor(options: SharedCacheMonitorOptions) {
    this.#options = options;
    this.#since = options.clock.wall();
  }

  get status(): SharedCacheHealth['status'] {
    return this.#status;
  }

  get health(): SharedCacheHealth {
    const [status, since, failure] = [this.#status, this.#since, this.#failure];
    return Object.freeze({ status, since, ...(failure && { failure }) });
  }

  /** An operation ended. */
  ended(outcome: SharedOutcome['outcome']): void {
    const { clock, isDown } = this.#options;
    this.#failure = outcome === 'timeout' || outcome === 'error' ? outcome : undefined;
    const status = this.#failure === undefined ? 'ok' : isDown() ? 'down' : 'degraded';
    if (status !== this.#status) this.#since = clock.wall();
    this.#status = status;
    if (status !== 'ok') this.#scheduleProbe();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelProbe?.();
  }

  #scheduleProbe(): void {
    const { clock, probe, sharesPromises } = this.#options;
    if (!sharesPromises || this.#isClosed || this.#cancelProbe !== undefined) return;
    const run = (): void => {
      this.#cancelProbe = undefined;
      if (this.#status === 'ok') return;
      probe();
      this.#scheduleProbe();
    };
    this.#cancelProbe = clock.after(PROBE_MS, run, true);
  }
}
