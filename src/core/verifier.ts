import type { CheckOptions, CheckResult, Health } from './health.js';
import type { DefaultClaims, Rejected, Verified, VerifyResult } from './result.js';
import type { Selector } from './selector.js';
import type { Stats } from './stats.js';

/**
 * Options for one call of `verify()` or `verifyCached()`. Wrong ones make the call fail as `misconfigured`. With
 * `VerifyOptions<true>`, the type of a variable with `failOpen: true`, the result may be `FailedOpen`.
 */
export interface VerifyOptions<FailOpen extends boolean | undefined = undefined> {
  /** Ends this caller's wait: `verify()` rejects with the signal's reason. The question goes on for others. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The oldest verdict that is acceptable, in milliseconds; `0` asks the key server every time.
   * Default: any verdict within its TTL.
   */
  readonly maxAgeMs?: number | undefined;
  /** Overrides the verifier's `failOpen` for this call. Default: the verifier's. */
  readonly failOpen?: FailOpen | undefined;
  /**
   * Keeps a worker alive during a background refresh, e.g. `(work) => ctx.waitUntil(work)`. On runtimes that end background
   * work with the request, verdicts are refreshed ahead of their expiry only if this is given. Default: none.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** `VerifyOptions` of any kind: the call may fail open. */
export type AnyVerifyOptions = VerifyOptions<boolean | undefined>;

/** A key as it comes from a request: it may be missing. Without a scheme: `Bearer sk-1` is rejected as `malformed_key`. */
export type PresentedKey = string | null | undefined;

/**
 * The interface of `KeyVerifier` and of the testing kit's `stubVerifier()`: depend on it, so that your tests can pass a stub.
 *
 * @example
 * ```ts
 * class Orders {
 *   constructor(private readonly verifier: Verifier<false>) {}
 * }
 * ```
 */
export interface Verifier<FailOpen extends boolean = boolean, Claims = DefaultClaims> extends AsyncDisposable {
  /**
   * Verifies one key, within `timeoutMs`. Failures are results, too: it rejects only with the reason of the caller's own
   * `signal`.
   */
  verify(key: PresentedKey, options?: VerifyOptions): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed for this call. */
  verify(
    key: PresentedKey,
    options: VerifyOptions<false> & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open for this call. */
  verify(key: PresentedKey, options?: AnyVerifyOptions): Promise<VerifyResult<Claims, boolean>>;
  /** The result if no wait is needed, else `undefined`. Counts and refreshes like `verify()`. */
  verifyCached(key: PresentedKey, options?: AnyVerifyOptions): Verified<Claims> | Rejected | undefined;
  /** The cached verdict if it is fresh, else `undefined`. Has no side effects. */
  peek(key: PresentedKey): Verified<Claims> | Rejected | undefined;
  /**
   * Forgets verdicts in this process and returns how many were forgotten at once. The selected keys are denied until the key
   * server has been asked again. Throws `InvalidOptionsError` for a wrong selector.
   */
  invalidate(selector: Selector): number;
  /**
   * The same, and then in every process that follows the same stream of revocations. Rejects with `NotPublishedError` if
   * publishing failed, and with `InvalidOptionsError` for a wrong selector.
   */
  revoke(selector: Selector): Promise<void>;
  /** Forgets every verdict. */
  clear(): void;
  /**
   * Loads what the first question would have to wait for: the transport, the service token and the retained revocations.
   * Rejects with a `VerifyFailure` if there is no service token.
   */
  warmUp(): Promise<void>;
  /** Counts since the verifier was built, and its present state. */
  stats(): Stats;
  /** What is known about the key server, without a request. */
  health(): Health;
  /** Asks a control question now, at most once a second. Rejects only with the reason of the caller's own `signal`. */
  check(options?: CheckOptions): Promise<CheckResult>;
  /** Waits for the questions in flight, then closes the connections. May be called again. */
  close(): Promise<void>;
}

/**
 * The method by which guards ask: like `verify()`, but without a promise where no wait is needed, and with one fingerprint
 * for both. In the global registry, so that a guard of another copy of this library finds it.
 */
export const VERIFY_NOW = Symbol.for('keyverify.verify-now');

/** The method by which guards write to the verifier's log, which keeps its secrets. In the global registry, too. */
export const WARN = Symbol.for('keyverify.warn');
