import type { DefaultClaims, Rejected, Verified, VerifyResult } from './result.js';
import type { Selector } from './selector.js';
import type { Stats } from './stats.js';

/** What one call of `verify()` may ask for. */
export interface VerifyOptions {
  /** Ends this caller's wait: `verify()` rejects with the signal's reason. The question itself goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The oldest verdict that will do, in milliseconds; `0` asks the key server now.
   * Default: any verdict within its TTL.
   */
  readonly maxAgeMs?: number | undefined;
  /** Overrides the verifier's `failOpen` for this call. */
  readonly failOpen?: boolean | undefined;
  /**
   * Keeps the runtime alive for a refresh in the background, e.g. `ctx.waitUntil` of a worker. On runtimes that end
   * background work with the request, hits are refreshed ahead of their expiry only where this is given.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** A key as it comes from a request: it may be missing. */
export type PresentedKey = string | null | undefined;

/** What `KeyVerifier` and the testing kit's `stubVerifier` both are: depend on this to be testable. */
export interface Verifier<FailOpen extends boolean = boolean, Claims = DefaultClaims> extends AsyncDisposable {
  /** Verifies one key. Rejects only with the reason of the caller's own `signal`. */
  verify(
    key: PresentedKey,
    options?: VerifyOptions & { readonly failOpen?: undefined },
  ): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed for this call. */
  verify(key: PresentedKey, options: VerifyOptions & { readonly failOpen: false }): Promise<VerifyResult<Claims>>;
  /** May fail open for this call. */
  verify(key: PresentedKey, options?: VerifyOptions): Promise<VerifyResult<Claims, boolean>>;
  /** The result if no wait is needed, else `undefined`. Counts, and refreshes ahead, like `verify()`. */
  verifyCached(key: PresentedKey, options?: VerifyOptions): Verified<Claims> | Rejected | undefined;
  /** The fresh verdict in the cache, if there is one. Without any side effect. */
  peek(key: PresentedKey): Verified<Claims> | Rejected | undefined;
  /** Forgets verdicts in this process and returns how many. The selected keys are asked about anew. */
  invalidate(selector: Selector): number;
  /** Forgets every verdict. */
  clear(): void;
  /** Loads what the first question would have to wait for. Rejects if there is no service token to be had. */
  warmUp(): Promise<void>;
  /** What happened so far, in numbers. */
  stats(): Stats;
  /** Waits for the questions that are being asked, then closes the connections. May be called again. */
  close(): Promise<void>;
}

/**
 * The method by which guards ask: like `verify()`, but without a promise where no wait is needed, and with one fingerprint
 * for both. In the global registry, so that a guard of another copy of this library finds it.
 */
export const VERIFY_NOW = Symbol.for('keyverify.verify-now');
