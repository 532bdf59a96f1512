import type { DefaultClaims, VerifyResult } from '../core/result.js';

/** What one call of `verify()` may ask for. */
export interface VerifyOptions {
  /** Ends this caller's wait: `verify()` rejects with the signal's reason. The question itself goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The oldest verdict that will do, in milliseconds. `0` demands one that the key server gives now.
   * Default: whatever is within its TTL.
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

/** What whoever guards a door needs of a `KeyVerifier`: the narrow interface that adapters and test doubles share. */
export interface Verifier<FailOpen extends boolean = boolean, Claims = DefaultClaims> {
  /** As the verifier was told to, `failOpen` being its own. */
  verify(
    key: string | null | undefined,
    options?: VerifyOptions & { readonly failOpen?: undefined },
  ): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed, this time. */
  verify(
    key: string | null | undefined,
    options: VerifyOptions & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open, this time. */
  verify(key: string | null | undefined, options?: VerifyOptions): Promise<VerifyResult<Claims, boolean>>;
}
