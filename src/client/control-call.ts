import type { Clock } from '../core/clock.js';
import type { AttemptFailure } from '../core/failure.js';
import { isOwnLag, type LagWatch } from '../resilience/loop-lag.js';
import type { AttemptOutcome } from './attempt.js';
import { BUSY, UNSENT } from './call-failures.js';
import type { Call } from './call.js';

/**
 * The part of its time within which a control question has to be handed to a connection: else it says nothing if it is not
 * answered.
 */
const AT_ONCE_RATIO = 0.1;

/** The call of a control question, and whether it says anything about the key server if it is not answered. */
export class ControlCall<Claims> {
  readonly #call: Call<Claims>;
  readonly #clock: Clock;
  readonly #lag: LagWatch;
  readonly #startedAt: number;
  readonly #cancel: () => void;
  #sentAtOnce = false;

  constructor(call: Call<Claims>, timeoutMs: number, clock: Clock, lag: LagWatch) {
    this.#call = call;
    this.#clock = clock;
    this.#lag = lag;
    this.#startedAt = clock.monotonic();
    // One that waited for a connection first has not hung for as long as it seems.
    this.#cancel = clock.after(timeoutMs * AT_ONCE_RATIO, () => (this.#sentAtOnce = call.isSent));
  }

  get isSent(): boolean {
    return this.#sentAtOnce;
  }

  /** For how long our own event loop was late since it was asked, in milliseconds. */
  get lagMs(): number {
    return this.#lag.ms;
  }

  get ageMs(): number {
    return this.#clock.monotonic() - this.#startedAt;
  }

  get clockSkewMs(): number | undefined {
    return this.#call.clockSkewMs;
  }

  /** The failure, or `undefined` if the question was answered. */
  settle(outcome: AttemptOutcome<Claims>): AttemptFailure | undefined {
    const { lagMs, ageMs } = this;
    this.#cancel();
    this.#lag.stop();
    if (!('kind' in outcome)) return undefined;
    if (outcome.kind !== 'timeout') return outcome;
    if (!this.#sentAtOnce) return UNSENT;
    return isOwnLag(lagMs, ageMs) ? BUSY : outcome;
  }
}
