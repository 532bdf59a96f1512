import type { BreakerOptions, BreakerState } from '../core/breaker.js';

/** The pause between two probes, as a part of the time for which the breaker has been open. */
const PAUSE_RATIO = 0.1;

/** Pauses are shortened by up to this ratio at random: breakers that opened together don't probe together. */
const PAUSE_JITTER = 0.25;

/**
 * A circuit breaker: opens after consecutive failures, and says when to probe. It closes with the first success, of a
 * probe or of anything else.
 */
export class Breaker<Failure> {
  readonly #options: BreakerOptions;
  readonly #random: () => number;
  readonly #onChange: (state: BreakerState, failure: Failure | undefined) => void;
  #state: BreakerState = 'closed';
  #failures = 0;
  #openedAt = 0;
  #probeAt = 0;
  #failure: Failure | undefined;

  constructor(
    options: BreakerOptions,
    random: () => number,
    onChange: (state: BreakerState, failure: Failure | undefined) => void,
  ) {
    this.#options = options;
    this.#random = random;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** The latest failure while it is open; `undefined` while it is closed. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** When it last opened, on the monotonic clock. */
  get openedAt(): number {
    return this.#openedAt;
  }

  /** When the next probe is due, on the monotonic clock. */
  get probeAt(): number {
    return this.#probeAt;
  }

  /** `minPauseMs` is what the failure itself asks for; it is honored up to the longest pause. */
  recordFailure(failure: Failure, mono: number, minPauseMs = 0): void {
    this.#failures++;
    if (this.#state === 'closed') {
      if (this.#failures < this.#options.failureThreshold) return;
      this.#openedAt = mono;
      this.#schedule(mono, minPauseMs);
    }
    this.#failure = failure;
    this.#change('open');
  }

  recordSuccess(): void {
    this.#failures = 0;
    this.#failure = undefined;
    this.#change('closed');
  }

  /** A probe is under way, while it is open. */
  beginProbe(mono: number): void {
    this.#schedule(mono, 0);
    this.#change('half-open');
  }

  #schedule(mono: number, minPauseMs: number): void {
    const { openMs, maxOpenMs } = this.#options;
    const pauseMs = Math.max(openMs, (mono - this.#openedAt) * PAUSE_RATIO, minPauseMs);
    this.#probeAt = mono + Math.min(pauseMs, maxOpenMs) * (1 - PAUSE_JITTER * this.#random());
  }

  #change(state: BreakerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#onChange(state, this.#failure);
  }
}
