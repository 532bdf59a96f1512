import type { VerifyFailure } from './failure.js';
import type { FailedOpen, Rejected, Verified } from './result.js';
import type { BreakerState } from '../resilience/breaker.js';

/** The key server gave a verdict. */
export interface VerdictEvent<Claims> {
  readonly fingerprint: string;
  readonly result: Verified<Claims> | Rejected;
  /** How many requests it took. */
  readonly attempts: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** A question to the key server ended without a verdict. */
export interface FailureEvent {
  readonly fingerprint: string;
  readonly failure: VerifyFailure;
}

/** A verdict past its TTL was honoured, because of this failure. */
export interface StaleEvent<Claims> extends FailureEvent {
  readonly result: Verified<Claims> | Rejected;
}

/** Someone was let in without an identity, because of this failure. */
export interface FailOpenEvent extends FailureEvent {
  readonly result: FailedOpen;
}

/** The circuit breaker changed its state; `failure` is what opened it. */
export interface BreakerEvent {
  readonly state: BreakerState;
  readonly failure: VerifyFailure | undefined;
}

/** Hooks on what happens. They hold fingerprints, never keys; what they throw is ignored, and they are not waited for. */
export interface Hooks<Claims> {
  readonly onVerdict?: ((event: VerdictEvent<Claims>) => unknown) | undefined;
  readonly onFailure?: ((event: FailureEvent) => unknown) | undefined;
  readonly onStale?: ((event: StaleEvent<Claims>) => unknown) | undefined;
  readonly onFailOpen?: ((event: FailOpenEvent) => unknown) | undefined;
  readonly onBreakerChange?: ((event: BreakerEvent) => unknown) | undefined;
}

/** Where warnings go. `console` fits, and so do pino and winston. */
export interface Logger {
  warn(message: string): unknown;
}

/** Calls what a caller handed in, come what may: observing must not change what is observed. */
export function notify<Event>(hook: ((event: Event) => unknown) | undefined, event: Event): void {
  try {
    const returned = hook?.(event);
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // A hook that throws must not become a denied request.
  }
}

const ONCE_PER_MS = 60_000;

/** Warns of settings that are wrong, at most once a minute: it would be said on every request. */
export class Warnings {
  readonly #logger: Logger;
  #quietUntil = -Infinity;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  misconfigured(failure: VerifyFailure, mono: number): void {
    if (failure.kind !== 'misconfigured' || mono < this.#quietUntil) return;
    this.#quietUntil = mono + ONCE_PER_MS;
    const because = failure.cause instanceof Error ? ` (${failure.cause.message})` : '';
    notify((message: string) => this.#logger.warn(message), failure.message + because);
  }
}
