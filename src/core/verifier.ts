import type { CheckOptions, CheckResult, Health } from './health.js';
import type { DefaultClaims, Rejected, Verified, VerifyResult } from './result.js';
import type { Selector } from './selector.js';
import type { Stats } from './stats.js';

/**
 * What one call of `verify()` may ask for. The result may be `FailedOpen` where `FailOpen` says so: a variable that holds
 * `failOpen: true` is a `VerifyOptions<true>`.
 */
export interface VerifyOptions<FailOpen extends boolean | undefined = undefined> {
  /** Ends this caller's wait: `verify()` rejects with the signal's reason. The question itself goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The oldest verdict that will do, in milliseconds; `0` asks the key server now.
   * Default: any verdict within its TTL.
   */
  readonly maxAgeMs?: number | undefined;
  /** Overrides the verifier's `failOpen` for this call. Only `true` opens. */
  readonly failOpen?: FailOpen | undefined;
  /**
   * Keeps the runtime alive for a refresh in the background, e.g. `ctx.waitUntil` of a worker. On runtimes that end
   * background work with the request, hits are refreshed ahead of their expiry only where this is given.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** `VerifyOptions` of any kind: the call may fail open. */
export type AnyVerifyOptions = VerifyOptions<boolean | undefined>;

/** A key as it comes from a request: it may be missing. */
export type PresentedKey = string | null | undefined;

/** What `KeyVerifier` and the testing kit's `stubVerifier` both are: depend on this to be testable. */
export interface Verifier<FailOpen extends boolean = boolean, Claims = DefaultClaims> extends AsyncDisposable {
  /** Verifies one key. Rejects only with the reason of the caller's own `signal`. */
  verify(key: PresentedKey, options?: VerifyOptions): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed for this call. */
  verify(
    key: PresentedKey,
    options: VerifyOptions<false> & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open for this call. */
  verify(key: PresentedKey, options?: AnyVerifyOptions): Promise<VerifyResult<Claims, boolean>>;
  /** The result if no wait is needed, else `undefined`. Counts, and refreshes ahead, like `verify()`. */
  verifyCached(key: PresentedKey, options?: AnyVerifyOptions): Verified<Claims> | Rejected | undefined;
  /** The fresh verdict in the cache, if there is one. Without any side effect. */
  peek(key: PresentedKey): Verified<Claims> | Rejected | undefined;
  /** Forgets verdicts in this process and returns how many. The selected keys are asked about anew. */
  invalidate(selector: Selector): number;
  /** The same, and then in every process that follows the same source of revocations. Rejects if publishing failed. */
  revoke(selector: Selector): Promise<void>;
  /** Forgets every verdict. */
  clear(): void;
  /** Loads what the first question would have to wait for. Rejects if there is no service token to be had. */
  warmUp(): Promise<void>;
  /** What happened so far, in numbers. */
  stats(): Stats;
  /** What is known about the key server, without asking it. */
  health(): Health;
  /** Asks the key server a control question now. Rejects only with the reason of the caller's own `signal`. */
  check(options?: CheckOptions): Promise<CheckResult>;
  /** Waits for the questions that are being asked, then closes the connections. May be called again. */
  close(): Promise<void>;
}

/**
 * The method by which guards ask: like `verify()`, but without a promise where no wait is needed, and with one fingerprint
 * for both. In the global registry, so that a guard of another copy of this library finds it.
 */
export const VERIFY_NOW = Symbol.for('keyverify.verify-now');

/** The method by which guards write to the verifier's log, which keeps its secrets. In the global registry, too. */
export const WARN = Symbol.for('keyverify.warn');
