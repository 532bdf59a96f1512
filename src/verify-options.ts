import type { DefaultClaims, VerifyResult } from './result.js';

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

/** A call that says nothing of its own. */
export interface PlainCall {
  readonly failOpen?: undefined;
}

/** Whether a call can fail open, from its own options and the verifier's. */
export type FailOpenOf<Options, Default extends boolean> = Options extends { readonly failOpen: infer Own }
  ? Extract<Own, boolean> | (undefined extends Own ? Default : never)
  : Options extends { readonly failOpen?: infer Own }
    ? unknown extends Own
      ? Default
      : Extract<Own, boolean> | Default
    : Default;

/** What whoever guards a door needs of a `KeyVerifier`: the narrow interface that adapters and test doubles share. */
export interface Verifier<FailOpen extends boolean = boolean, Claims = DefaultClaims> {
  verify<const Options extends VerifyOptions = PlainCall>(
    key: string | null | undefined,
    options?: Options,
  ): Promise<VerifyResult<Claims, FailOpenOf<Options, FailOpen>>>;
}
