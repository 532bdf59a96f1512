import type { DefaultClaims, Verified, VerifyResult } from '../core/result.js';
import { VERIFY_NOW, WARN, type AnyVerifyOptions } from '../core/verifier.js';
import type { MaybePromise } from './decision.js';
import type { RouteSettings } from './options.js';
import type { GuardRequest } from './request.js';

/** What a guard asks: a `KeyVerifier`, `stubVerifier()` of the testing kit, or an object of your own. */
export interface AnyVerifier {
  verify(key: string, options: AnyVerifyOptions): Promise<VerifyResult<unknown, boolean>>;
  /** `KeyVerifier` has it: `verify()` without a promise where no wait is needed. */
  [VERIFY_NOW]?(
    key: string,
    options: AnyVerifyOptions,
    signal?: () => AbortSignal,
  ): MaybePromise<VerifyResult<unknown, boolean>>;
  /** `KeyVerifier` has it: writes a line to its log. Default: `console.warn`. */
  [WARN]?(line: string): void;
}

/**
 * A verifier, or a function that returns it. The function is called at the first request and its result is kept, so a
 * module can be loaded where there are no secrets. While it throws, requests are denied with 500 and the next one
 * calls it again.
 */
export type VerifierSource<V extends AnyVerifier> = V | (() => V);

/** A verifier that never fails open unless a call says otherwise. */
export interface ClosedVerifier<Claims = DefaultClaims> {
  verify(key: string, options: { readonly failOpen?: undefined }): Promise<VerifyResult<Claims>>;
}

/** Whether a verifier fails open unless a call says otherwise; `boolean` stands for "it may". */
export type FailOpenBy<V extends AnyVerifier> = V extends ClosedVerifier<ClaimsOf<V>> ? false : boolean;

/** The type of a verifier's claims. */
export type ClaimsOf<V extends AnyVerifier> =
  Extract<Awaited<ReturnType<V['verify']>>, { readonly verifiedAt: number }> extends Verified<infer Claims>
    ? Claims
    : never;

/** A verifier whose claims nobody looks at. */
export interface DefaultVerifier {
  verify(key: string, options: AnyVerifyOptions): Promise<VerifyResult<DefaultClaims, boolean>>;
  [VERIFY_NOW]?(
    key: string,
    options: AnyVerifyOptions,
    signal?: () => AbortSignal,
  ): MaybePromise<VerifyResult<DefaultClaims, boolean>>;
  [WARN]?(line: string): void;
}

/** Asks about a key; a cached verdict comes without a promise. */
export function ask(
  verifier: DefaultVerifier,
  key: string,
  { maxAgeMs, failOpen }: RouteSettings,
  { signal, waitUntil }: GuardRequest,
): MaybePromise<VerifyResult<DefaultClaims, boolean>> {
  const options = { waitUntil, maxAgeMs, failOpen };
  if (verifier[VERIFY_NOW] !== undefined) return verifier[VERIFY_NOW](key, options, signal);
  return askUnlessAborted(verifier, key, { ...options, signal: signal?.() });
}

/** A verifier of somebody else's may not look at the signal before it asks. */
async function askUnlessAborted(
  verifier: DefaultVerifier,
  key: string,
  options: AnyVerifyOptions,
): Promise<VerifyResult<DefaultClaims, boolean>> {
  options.signal?.throwIfAborted();
  return await verifier.verify(key, options);
}
