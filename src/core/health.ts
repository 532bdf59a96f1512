import type { BreakerState } from './events.js';
import type { VerifyFailure } from './failure.js';

/** What is known about the key server, without asking it. */
export interface Health {
  /**
   * `ok`: the last question was answered. `degraded`: it was not, and it may be one key's own failure; or our rate is
   * limited, or this process is overloaded. `down`: nobody gets a verdict.
   */
  readonly status: 'ok' | 'degraded' | 'down';
  /** Since when the status is what it is, in epoch milliseconds. */
  readonly since: number;
  /** Why the status isn't `ok`. */
  readonly failure?: VerifyFailure;
  /** When the key server last answered, a control question included, in epoch milliseconds. Left out if it never has. */
  readonly lastVerdictAt?: number;
  readonly breaker: BreakerState;
}

/** What became of the control question that `check()` asked. */
export interface CheckResult {
  /** Whether the key server gave a verdict. */
  readonly ok: boolean;
  /** Why it gave none. */
  readonly failure?: VerifyFailure;
  /** How long the question took, in milliseconds. */
  readonly latencyMs: number;
  /**
   * How far this machine's clock is ahead of the key server's, in milliseconds, to about a second. Left out where the
   * answer has no `Date`, or comes from a cache.
   */
  readonly clockSkewMs?: number;
}

/** What `check()` may be given. */
export interface CheckOptions {
  /** Ends the wait: `check()` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}
