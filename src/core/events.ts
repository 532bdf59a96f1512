import type { BreakerState } from './breaker.js';
import type { FailureKind, VerifyFailure } from './failure.js';
import type { Health } from './health.js';
import type { FailedOpen, Rejected, Verified } from './result.js';
import type { StoredSelector } from './selector.js';
import type { Stats } from './stats.js';

/** The key server gave a verdict. */
export interface VerdictEvent<Claims> {
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** The verdict, as `verify()` resolves to it. */
  readonly result: Verified<Claims> | Rejected;
  /** How many requests it took. */
  readonly attempts: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** A question to the key server ended without a verdict. */
export interface FailureEvent {
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly fingerprint: string;
  readonly failure: VerifyFailure;
}

/** A verdict past its TTL was honored because of this failure. */
export interface StaleEvent<Claims> extends FailureEvent {
  readonly result: Verified<Claims> | Rejected;
}

/** A caller was let in without an identity because of this failure. */
export interface FailOpenEvent extends FailureEvent {
  readonly result: FailedOpen;
}

/** The circuit breaker changed its state. */
export interface BreakerEvent {
  /** The new state. */
  readonly state: BreakerState;
  /** What opened it; `undefined` once it has closed. */
  readonly failure: VerifyFailure | undefined;
}

/** A control question was answered, or failed. */
export interface ControlEvent {
  /** Why it failed; `undefined` if it was answered. */
  readonly failure: VerifyFailure | undefined;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** A caller's own signal ended its wait. It got no result, and the question goes on for other callers. */
export interface AbortEvent {
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly fingerprint: string;
}

/** Verdicts were forgotten. */
export interface InvalidateEvent {
  readonly selector: StoredSelector | 'all';
  /** How many verdicts were forgotten at once: what `invalidate()` returns. */
  readonly count: number;
}

/** An operation on the shared cache. */
export interface SharedEvent {
  /** `probe`: a read in the background, to find out whether a shared cache that failed is back. */
  readonly operation: 'get' | 'put' | 'lease' | 'probe';
}

/** How an operation on the shared cache ended. */
export interface SharedOutcome {
  /**
   * `hit`: an entry was found, put or leased. `miss`: it was not. `unsealable`: it was forged, altered or moved, or sealed
   * with another secret. `timeout`, `error`: the shared cache failed.
   */
  readonly outcome: 'hit' | 'miss' | 'unsealable' | 'timeout' | 'error';
  /** What the shared cache threw, reduced to name, code and message; `undefined` for all other outcomes. */
  readonly error: Error | undefined;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** A stream said that keys were revoked or changed. */
export interface RevocationEvent {
  /** The name of the stream. */
  readonly source: string;
  /** How many messages came together. */
  readonly messages: number;
  /** How many of them say that keys were revoked; the others say that they were changed. */
  readonly revoked: number;
  /** How many verdicts were forgotten at once, or are asked about again. */
  readonly count: number;
}

/** Revocations may have been lost: every verdict is asked about again, spread over time. */
export interface RevocationGapEvent {
  /** The name of the stream. */
  readonly source: string;
  /**
   * `lost`: messages are missing. `unreadable`: one can't be read, or isn't signed as it has to be. `silent`: the stream missed
   * three heartbeats.
   */
  readonly reason: 'lost' | 'unreadable' | 'silent';
}

/** A question to the key server. Its events share this object, retries included. */
export interface AskEvent {
  /**
   * `verify`: a caller waits. `refresh`: in the background. `control`: about a random key, see
   * https://github.com/keyverify/keyverify/blob/main/docs/outages.md#what-counts-as-an-outage
   */
  readonly purpose: 'verify' | 'refresh' | 'control';
  /** Origin and path of the key server. */
  readonly url: string;
}

/** How a question ended. */
export interface AskOutcome {
  /** The verdict, or `failed` if there is none. A control question that is answered counts as `rejected`. */
  readonly outcome: 'verified' | 'rejected' | 'failed';
  /** Why there is no verdict; `undefined` if there is one. */
  readonly failure: { readonly kind: FailureKind; readonly message: string; readonly cause?: unknown } | undefined;
  /** How many requests it took. */
  readonly attempts: number;
  /** How long it took, in milliseconds, the wait for a free slot included. */
  readonly durationMs: number;
}

/** A verifier, as an observer sees it. */
export interface ObservedVerifier {
  /** Counts since it was built, and its present state. */
  stats(): Stats;
  /** What is known about the key server, without a request. */
  health(): Health;
}

/**
 * Something that is told what happened. Every method is optional. Events contain fingerprints, never keys. What a method
 * throws or rejects with is ignored, and nothing waits for it. Hits within the TTL are not reported: `stats()` counts them.
 *
 * @example
 * ```ts
 * const observer: Observer = {
 *   onFailure: ({ failure, fingerprint }) => console.warn(failure.code, fingerprint),
 * };
 * const verifier = new KeyVerifier({ observers: [observer] });
 * ```
 */
export interface Observer<Claims = unknown> {
  /** The key server gave a verdict. */
  onVerdict?(event: VerdictEvent<Claims>): unknown;
  /** A question to the key server ended without a verdict. */
  onFailure?(event: FailureEvent): unknown;
  /** A verdict past its TTL was served because of a failure. */
  onStale?(event: StaleEvent<Claims>): unknown;
  /** A caller was let in without an identity. */
  onFailOpen?(event: FailOpenEvent): unknown;
  /** The circuit breaker opened, half-opened or closed. */
  onBreaker?(event: BreakerEvent): unknown;
  /** A control question was answered, or failed. */
  onControl?(event: ControlEvent): unknown;
  /** A caller's own signal ended its wait. */
  onAbort?(event: AbortEvent): unknown;
  /** Verdicts were forgotten. */
  onInvalidate?(event: InvalidateEvent): unknown;
  /** An operation on the shared cache is about to run. `run` runs it, as in `onAsk`. */
  onShared?(event: SharedEvent, run: () => Promise<SharedOutcome>): unknown;
  /** A stream delivered revocations. */
  onRevocation?(event: RevocationEvent): unknown;
  /** Revocations may have been lost. */
  onRevocationGap?(event: RevocationGapEvent): unknown;
  /**
   * A question is about to be asked. `run` asks it: call it in a context of your own, such as a span, and the requests to
   * the key server are sent in that context. It resolves to the outcome and never rejects. The question is asked once,
   * however often you call `run`, and also if you don't.
   */
  onAsk?(event: AskEvent, run: () => Promise<AskOutcome>): unknown;
  /** Another caller starts to wait for this question. Called in that caller's context. */
  onJoin?(event: AskEvent): unknown;
  /** A verifier was built with this observer. */
  onAttach?(verifier: ObservedVerifier): unknown;
  /** That verifier was closed. */
  onDetach?(verifier: ObservedVerifier): unknown;
}

/** Calls what a caller passed in. What it throws or rejects with must not become a denied request. */
export function callSafely<Argument>(run: ((argument: Argument) => unknown) | undefined, argument: Argument): void {
  try {
    const returned = run?.(argument);
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // Observing must not change what is observed.
  }
}
