import type { VerifyFailure } from './failure.js';
import type { FailedOpen, Rejected, Verified } from './result.js';
import type { StoredSelector } from './selector.js';

/** The key server gave a verdict. */
export interface VerdictEvent<Claims> {
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly fingerprint: string;
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

/** A verdict past its TTL was honoured because of this failure. */
export interface StaleEvent<Claims> extends FailureEvent {
  readonly result: Verified<Claims> | Rejected;
}

/** A caller was let in without an identity because of this failure. */
export interface FailOpenEvent extends FailureEvent {
  readonly result: FailedOpen;
}

/** `closed`: questions are asked. `open`: only a few are. `half-open`: open, and a control question is being asked. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** The circuit breaker changed its state. */
export interface BreakerEvent {
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

/** Verdicts were forgotten. */
export interface InvalidateEvent {
  readonly selector: StoredSelector | 'all';
  /** How many verdicts were forgotten. */
  readonly count: number;
}

/**
 * Something that is told what happened. Every method is optional. Events hold fingerprints, never keys. What a method
 * throws or rejects with is ignored, and nothing waits for it. Hits within the TTL are not reported: `stats()` counts them.
 */
export interface Observer<Claims = unknown> {
  onVerdict?(event: VerdictEvent<Claims>): unknown;
  onFailure?(event: FailureEvent): unknown;
  onStale?(event: StaleEvent<Claims>): unknown;
  onFailOpen?(event: FailOpenEvent): unknown;
  onBreaker?(event: BreakerEvent): unknown;
  onControl?(event: ControlEvent): unknown;
  onInvalidate?(event: InvalidateEvent): unknown;
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
