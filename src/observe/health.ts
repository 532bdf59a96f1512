import type { Clock } from '../core/clock.js';
import type { BreakerState } from '../core/breaker.js';
import type { VerifyFailure } from '../core/failure.js';
import type { Health } from '../core/health.js';

export interface HealthOptions {
  readonly clock: Clock;
  readonly breaker: () => BreakerState;
  /** Asks a control question, unless one is being asked. */
  readonly askControl: () => void;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
}

/** For how long the server answers nobody, with the breaker closed, until it is asked even if nobody else asks it. */
const RECHECK_MS = 5000;

/** A limited rate and an overload are a matter of the moment: answers to other questions don't end them sooner. */
const HOLD_MS = 1000;

/** Tells how the key server is, by what became of the latest questions. */
export class HealthMonitor {
  readonly #options: HealthOptions;
  #status: Health['status'] = 'ok';
  #since: number;
  #failure: VerifyFailure | undefined;
  #answeredAt = -Infinity;
  #lastVerdictAt: number | undefined;
  /** Since the latest failure. */
  #isAnswered = false;
  #isClosed = false;
  #heldUntil = -Infinity;
  #cancelRecheck: (() => void) | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#since = options.clock.wall();
  }

  get health(): Health {
    this.#settle();
    return {
      status: this.#status,
      since: this.#since,
      ...(this.#failure && { failure: this.#failure }),
      ...(this.#lastVerdictAt !== undefined && { lastVerdictAt: this.#lastVerdictAt }),
      breaker: this.#options.breaker(),
    };
  }

  /** Whether all was well after the latest answer. */
  get isOk(): boolean {
    return this.#status === 'ok';
  }

  /** The key server gave a verdict. */
  answered(): void {
    const { clock } = this.#options;
    this.#isAnswered = true;
    this.#answeredAt = clock.monotonic();
    this.#lastVerdictAt = clock.wall();
    this.#settle();
  }

  /** A question failed. A control question that failed says that all would. */
  failed(failure: VerifyFailure, isControl: boolean): void {
    const { kind, evidence, retryAfterMs = 0 } = failure;
    // What opened the breaker is known already.
    if (kind === 'circuit_open' || this.#isClosed) return;
    const isOurs = kind === 'rate_limited' || kind === 'overloaded';
    this.#isAnswered = false;
    if (isOurs) this.#heldUntil = this.#options.clock.monotonic() + Math.max(retryAfterMs, HOLD_MS);
    const isDown = this.#status === 'down' || evidence !== 'none' || (isControl && !isOurs);
    this.#change(isDown ? 'down' : 'degraded', failure);
    this.#scheduleRecheck();
  }

  /** Nothing is asked any more. */
  close(failure: VerifyFailure): void {
    this.#cancelRecheck?.();
    this.#isClosed = true;
    this.#change('down', failure);
  }

  #settle(): void {
    if (this.#status === 'ok' || !this.#isAnswered || this.#isClosed) return;
    const mono = this.#options.clock.monotonic();
    if (mono < this.#heldUntil) return;
    this.#change('ok', undefined, mono - Math.max(this.#answeredAt, this.#heldUntil));
  }

  #change(status: Health['status'], failure: VerifyFailure | undefined, agoMs = 0): void {
    if (status !== this.#status) this.#since = Math.floor(this.#options.clock.wall() - agoMs);
    this.#status = status;
    this.#failure = failure;
  }

  #scheduleRecheck(): void {
    const { clock, breaker, askControl, sharesPromises } = this.#options;
    if (!sharesPromises || this.#cancelRecheck !== undefined) return;
    const recheck = (): void => {
      this.#cancelRecheck = undefined;
      this.#settle();
      if (this.#status === 'ok') return;
      const mono = clock.monotonic();
      const isQuiet = this.#answeredAt < mono - RECHECK_MS && mono >= this.#heldUntil;
      // While it is open, the breaker has a schedule of its own.
      if (isQuiet && breaker() === 'closed') askControl();
      this.#scheduleRecheck();
    };
    this.#cancelRecheck = clock.after(RECHECK_MS, recheck, true);
  }
}
