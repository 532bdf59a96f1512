import type { BreakerState } from './breaker.js';
import type { VerifyFailure } from './failure.js';

/** What `health()` returns: what is known about the key server, without a request. */
export interface Health {
  /**
   * `ok`: the last question was answered, or there was none yet. `degraded`: it failed, perhaps because of one key; or the key server limits our
   * rate; or this process is overloaded. `down`: nobody gets a verdict.
   */
  readonly status: 'ok' | 'degraded' | 'down';
  /** Since when the status is what it is, in epoch milliseconds. */
  readonly since: number;
  /** Why the status isn't `ok`. */
  readonly failure?: VerifyFailure;
  /** When the key server last answered, a control question included, in epoch milliseconds. Left out if it never has. */
  readonly lastVerdictAt?: number;
  /** The state of the circuit breaker; `closed` if it is disabled. */
  readonly breaker: BreakerState;
  /** Left out without the option `sharedCache`. */
  readonly sharedCache?: SharedCacheHealth;
  /** Left out without the option `revocations`. */
  readonly revocations?: RevocationsHealth;
}

/** The health of the shared cache. It changes no verdict, so it doesn't count for the status of the verifier. */
export interface SharedCacheHealth {
  /**
   * `ok`: the last operation worked. `degraded`: it failed. `down`: several in a row failed, so the shared cache is bypassed
   * and probed every few seconds.
   */
  readonly status: 'ok' | 'degraded' | 'down';
  /** Since when the status is what it is, in epoch milliseconds. */
  readonly since: number;
  /** How the last operation failed. */
  readonly failure?: 'timeout' | 'error';
}

/** The health of the streams of revocations. */
export interface RevocationsHealth {
  /**
   * `starting`: the retained revocations have not been read yet. `ok`: every stream sends its heartbeats. `degraded`: a stream
   * ends again and again, each time soon after it has worked; nothing is lost, but revocations take effect later. `down`: a
   * stream missed three heartbeats, so verdicts stay fresh for `degradedTtlMs` at most.
   */
  readonly status: 'starting' | 'ok' | 'degraded' | 'down';
  /** Since when the status is what it is, in epoch milliseconds; `down`: when the stream was last heard from. */
  readonly since: number;
  /**
   * How late a revocation takes effect here, in milliseconds: the time since the streams were last heard from or, if that is
   * longer, the time from the `at` of a message of the last minute until it took effect.
   */
  readonly lagMs: number;
  /** When revocations may last have been lost, in epoch milliseconds. Left out if there was no gap. */
  readonly lastGapAt?: number;
}

/** What `check()` resolves to: how its control question went. */
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

/** The options of `check()`. */
export interface CheckOptions {
  /** Ends the wait: `check()` rejects with the signal's reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}
