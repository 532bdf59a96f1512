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
  /** Left out without the option `sharedCache`. */
  readonly sharedCache?: SharedCacheHealth;
  /** Left out without the option `revocations`. */
  readonly revocations?: RevocationsHealth;
}

/** How the shared cache is. It changes no verdict, so the status of the verifier is another matter. */
export interface SharedCacheHealth {
  /**
   * `ok`: the last operation worked. `degraded`: it failed. `down`: several in a row did, so the store is left out and
   * tried now and then.
   */
  readonly status: 'ok' | 'degraded' | 'down';
  /** Since when the status is what it is, in epoch milliseconds. */
  readonly since: number;
  /** How the last operation failed. */
  readonly failure?: 'timeout' | 'error';
}

/** How the streams of revocations are. */
export interface RevocationsHealth {
  /**
   * `starting`: what is retained has not been read yet. `ok`: every stream is heard of. `down`: one was not for three of
   * its heartbeats, and verdicts are fresh for `degradedTtlMs` at the most.
   */
  readonly status: 'starting' | 'ok' | 'down';
  /** Since when the status is what it is, in epoch milliseconds; `down`: when the stream was last heard of. */
  readonly since: number;
  /**
   * How late a revocation takes effect here, in milliseconds: how long ago the streams were last heard of, or how long
   * after its `at` a message of the last minute took effect, if that is longer.
   */
  readonly lagMs: number;
  /** When messages were last lost, as far as is known, in epoch milliseconds. */
  readonly lastGapAt?: number;
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
