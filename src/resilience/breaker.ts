import type { VerifyFailure } from '../core/failure.js';

export interface BreakerSettings {
  /** How many questions in a row must end in an outage before it opens. */
  readonly failureThreshold: number;
  /** How long it stays open the first time, in milliseconds; doubles with every probe that fails. */
  readonly openMs: number;
  /** The longest it stays open, in milliseconds. */
  readonly maxOpenMs: number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What the breaker makes of a question: ask, ask as the one probe, or leave the key server alone for so long. */
export type Permit = 'ask' | 'probe' | { readonly retryAfterMs: number };

/** Stops asking a key server that is out, and finds out by one probe at a time when it is back. */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #probeMs: number;
  readonly #random: () => number;
  readonly #onChange: (state: BreakerState, failure?: VerifyFailure) => void;
  #state: BreakerState = 'closed';
  #failures = 0;
  #openings = 0;
  #until = 0;

  constructor(
    settings: BreakerSettings,
    probeMs: number,
    random: () => number,
    onChange: (state: BreakerState, failure?: VerifyFailure) => void,
  ) {
    this.#settings = settings;
    this.#probeMs = probeMs;
    this.#random = random;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Up to when nobody may ask, on the monotonic clock. */
  get openUntil(): number {
    return this.#state === 'closed' ? -Infinity : this.#until;
  }

  permit(mono: number): Permit {
    if (this.#state === 'closed') return 'ask';
    if (mono < this.#until) return { retryAfterMs: this.#until - mono };
    // A probe whose runtime ends it never comes back, so its turn ends with the time it may take.
    this.#until = mono + this.#probeMs;
    this.#change('half-open');
    return 'probe';
  }

  /** The key server answered, whatever it said. */
  succeed(): void {
    this.#failures = 0;
    this.#openings = 0;
    this.#change('closed');
  }

  /** The key server is out. */
  fail(failure: VerifyFailure, mono: number, asked: 'ask' | 'probe'): void {
    this.#failures++;
    const opens = asked === 'probe' || (this.#state === 'closed' && this.#failures >= this.#settings.failureThreshold);
    if (!opens) return;
    const { openMs, maxOpenMs } = this.#settings;
    const longest = Math.min(openMs * 2 ** this.#openings, maxOpenMs);
    this.#openings++;
    // Half of it at random: verifiers that lost the server together don't knock together.
    this.#until = mono + longest * (1 - this.#random() / 2);
    this.#change('open', failure);
  }

  #change(state: BreakerState, failure?: VerifyFailure): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#onChange(state, failure);
  }
}
