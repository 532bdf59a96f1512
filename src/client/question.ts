import type { Backoff } from '../cache/entry.js';
import type { Instant } from '../core/clock.js';
import type { AskEvent, AskOutcome } from '../core/events.js';
import { VerifyFailure, type AttemptFailure } from '../core/failure.js';
import type { Rejected, Verified } from '../core/result.js';
import type { Verdict } from '../core/verdict.js';
import type { SharedLook } from './shared-lookup.js';

/** One question to the key server. */
export interface KeyQuestion {
  /** What observers are told of it. */
  readonly event: AskEvent;
  readonly fingerprint: string;
  readonly key: string;
  /** When the caller began to wait, on the monotonic clock. */
  readonly startedAt: number;
  /** Whether this key was good when it was last asked about: such questions go before those about new keys. */
  readonly isKnown: boolean;
  /** Whether the cached verdict says that the key is good. Unlike `isKnown`, `false` once it was invalidated. */
  readonly wasGood: boolean;
  /** Whether a failure may let the caller in: then it has to be found out first what evidence is worth here. */
  readonly mayOpen: boolean;
  /** The oldest verdict that its caller takes, in milliseconds. */
  readonly maxAgeMs?: number | undefined;
  /** Its latest failures, unless it was answered since. */
  readonly backoff: Backoff | undefined;
  /** Told when the first request is sent. */
  readonly onSent: (at: Instant) => void;
}

/** How a question is asked. */
export interface AskOptions<Claims> {
  /** Although the gate refuses. */
  readonly trickle?: boolean;
  /** What the shared cache said already. */
  readonly look?: SharedLook<Claims> | undefined;
  /** When it was asked first, if the answer was invalidated while in flight. */
  readonly askedFirstAt?: number;
}

/** A verdict, and what it took. */
export interface FetchedVerdict<Claims> {
  readonly verdict: Verdict<Claims>;
  readonly attempts: number;
  readonly durationMs: number;
  /** How far our clock is ahead of the server's, in milliseconds, where that is known. */
  readonly clockSkewMs: number | undefined;
}

/** The outcome of a question. */
export type Asked<Claims> = FetchedVerdict<Claims> | VerifyFailure;

/** The outcome of a load. */
export type LoadOutcome<Claims> = Verified<Claims> | Rejected | VerifyFailure;

export function outcomeOf(asked: Asked<unknown>): AskOutcome {
  const { attempts, durationMs } = asked;
  if (asked instanceof VerifyFailure) return { outcome: 'failed', failure: asked, attempts, durationMs };
  return { outcome: asked.verdict.result.status, failure: undefined, attempts, durationMs };
}

/** A random key is rejected by every server that is well. */
export function controlOutcome(failure: AttemptFailure | undefined, attempts: number, durationMs: number): AskOutcome {
  return { outcome: failure === undefined ? 'rejected' : 'failed', failure, attempts, durationMs };
}
