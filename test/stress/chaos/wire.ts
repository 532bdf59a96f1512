import type { FailureKind } from 'keyverify';

/** How the verifiers of a run are set up. Every duration is in milliseconds, and short, so that much happens in a minute. */
export const LAW = {
  cacheTtlMs: 2_000,
  rejectedTtlMs: 500,
  staleIfErrorMs: 4_000,
  timeoutMs: 400,
  maxConcurrency: 8,
  breaker: { failureThreshold: 5, openMs: 200, maxOpenMs: 1_000 },
} as const;

/** For so long after it lacked a processor, a process may have reason to go by an older verdict: a deadline and a cool-down. */
export const AFTERMATH_MS = 2_500;

export const TOKEN = 'service-token-of-the-chaos';

/** Keys that are issued, revoked, ... and, past them, keys that never were. */
export const ISSUED = 120;
export const STRANGERS = 400;

export const keyOf = (index: number): string => `sk-chaos-${index.toString().padStart(6, '0')}`;

/** Verifiers differ in how they ask, and in what they do in an outage. */
export const VARIANTS = [
  { name: 'pool, closed', transport: 'pool', failOpen: false, retries: 1, breaker: true },
  { name: 'pool, open', transport: 'pool', failOpen: true, retries: 1, breaker: true },
  { name: 'fetch, closed', transport: 'fetch', failOpen: false, retries: 2, breaker: true },
  { name: 'dispatcher, open, no breaker', transport: 'dispatcher', failOpen: true, retries: 0, breaker: false },
] as const;

/** One result of `verify()`, as the caller saw it. Times are in milliseconds since the epoch. */
export interface Sighting {
  readonly key: number;
  /** When it was called, and when the result was there. */
  readonly from: number;
  readonly at: number;
  readonly kind: 'verified' | 'rejected' | 'open' | 'closed';
  readonly source: string;
  readonly failure: FailureKind | undefined;
  readonly verifiedAt: number;
  readonly expiresAt: number | undefined;
  readonly maxAgeMs: number | undefined;
  readonly mayOpen: boolean;
  /** When this verifier was last told to forget the key. */
  readonly forgottenAt: number;
  /** Up to when a verdict that this verifier has given for the key had to be honoured in an outage. */
  readonly usableUntil: number;
  readonly usableSince: number;
  /** Whether this process lacked a processor just then, so that its times mean little. */
  readonly stalled: boolean;
}

/** What a verifier process found out about itself. */
export interface Confession {
  readonly calls: number;
  readonly left: number;
  readonly late: number;
  readonly thrown: readonly string[];
  readonly unhandled: readonly string[];
  readonly mostInFlight: number;
  readonly mostAsking: number;
  /** Sockets and timers that were still there after `close()`. */
  readonly leftBehind: readonly string[];
}

export type FromVerifier =
  | { readonly type: 'seen'; readonly sightings: readonly Sighting[] }
  | { readonly type: 'done'; readonly confession: Confession };

export type ToVerifier = { readonly type: 'forget'; readonly key: number } | { readonly type: 'stop' };
