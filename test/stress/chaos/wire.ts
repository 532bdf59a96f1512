import type { Evidence, FailureKind } from 'keyverify';

/**
 * How the verifiers of a run are set up. Every duration is in milliseconds, and short, so that much happens in a minute; but
 * `timeoutMs` is longer than the second between two control questions, which the first failure in an outage may have to wait
 * for.
 */
export const SETTINGS = { cacheTtlMs: 2_000, rejectedTtlMs: 500, timeoutMs: 1_200 } as const;

/** How soon a verifier recovers by itself: after an outage of up to `LONG_MS`, and after a longer one (default `maxOpenMs`). */
export const RECOVERY = { LONG_MS: 10_000, shortMs: 1_500, longMs: 5_000 } as const;

/** How soon a good newcomer gets in while the server answers others. */
export const NEWCOMER_MS = 2_000;

/** For so long after it lacked a processor, a process may have reason to go by an older verdict: a deadline and a recovery. */
export const AFTERMATH_MS = SETTINGS.timeoutMs + RECOVERY.shortMs;

export const TOKEN = 'service-token-of-the-chaos';

/** The keys, by number: some that are issued and revoked all the time, some that never are, and some with one purpose. */
export const ISSUED = 120;
export const UNKNOWN = 400;
/** Good throughout, and in use throughout. */
export const REGULARS = { from: 1_000, count: 8 } as const;
/** One for each siege: good when it begins, revoked soon after. */
export const REVOKED = 2_000;
/** Good throughout; each is used by one verifier, once. */
export const NEWCOMERS = 100_000;
export const NEWCOMERS_EACH = 10_000;
/** Not issued, never seen before: keys that a hostile caller invents. */
export const MADE_UP = -1;

export const keyOf = (index: number): string => `sk-chaos-${index.toString().padStart(6, '0')}`;
/** What no key server can tell from a made-up key. */
export const CONTROL_PREFIX = 'keyverify-control-';
/** Keys that the firewall, or the server's data base, can't stand. */
export const POISONS = ['reset', 'close', 'hang', '502', '503', 'long'] as const;
export type Poison = (typeof POISONS)[number];
export const POISON_PREFIX = 'sk-chaos-poison-';

/** What hostile callers do in a siege, and how the server takes it. No attack is an outage. */
export const ATTACKS = ['poison', 'flood', 'flood, shed', 'flood, slow', 'limit all', 'limit made-up', 'busy'] as const;
export type Attack = (typeof ATTACKS)[number];

/** Verifiers differ in how they ask, and in what they do in an outage. */
export const VARIANTS = [
  {
    name: 'pool, failOpen off',
    transport: 'pool',
    failOpen: false,
    retries: 1,
    breaker: true,
    maxConcurrency: 64,
    staleIfErrorMs: 4_000,
  },
  {
    name: 'pool, failOpen on',
    transport: 'pool',
    failOpen: true,
    retries: 1,
    breaker: true,
    maxConcurrency: 64,
    staleIfErrorMs: 4_000,
  },
  {
    name: 'fetch, failOpen on',
    transport: 'fetch',
    failOpen: true,
    retries: 2,
    breaker: true,
    maxConcurrency: 64,
    staleIfErrorMs: 4_000,
  },
  {
    name: 'dispatcher, failOpen on, no breaker, no stale',
    transport: 'dispatcher',
    failOpen: true,
    retries: 0,
    breaker: false,
    maxConcurrency: 16,
    staleIfErrorMs: 0,
  },
] as const;

export type Caller = 'caller' | 'regular' | 'newcomer' | 'revoked' | 'made-up' | `poison ${Poison}`;

/** Why a verifier may not let a key in without asking: refused, past its end, or to be asked about anew. */
export type KnownBad = 'refused' | 'ended' | 'invalidated';

/** One result of `verify()`, as the caller saw it. Times are in milliseconds since the epoch. */
export interface Sighting {
  readonly who: Caller;
  readonly key: number;
  /** When it was called, and when the result was there. */
  readonly from: number;
  readonly at: number;
  readonly kind: 'verified' | 'rejected' | 'open' | 'closed';
  readonly source: string;
  readonly failure: FailureKind | undefined;
  readonly evidence: Evidence | undefined;
  /** When the key server last gave this verifier a verdict on any key, as `health()` has it. */
  readonly answeredAt: number;
  readonly verifiedAt: number;
  readonly expiresAt: number | undefined;
  readonly maxAgeMs: number | undefined;
  readonly mayOpen: boolean;
  /** When this verifier was last told to forget the key. */
  readonly forgottenAt: number;
  /** Up to when the latest verdict that this verifier has given for the key was fresh, and since when. */
  readonly freshUntil: number;
  readonly freshSince: number;
  /** Whether the latest verdict was a rejection, and when this verifier last gave one. */
  readonly wasRejected: boolean;
  readonly rejectedAt: number;
  /** What this verifier knew against the key, before and after. */
  readonly knownBad: KnownBad | undefined;
  /** Whether this process lacked a processor just then, so that its times prove little. */
  readonly stalled: boolean;
}

/** How long a good newcomer, retrying as clients do, took to be verified. */
export interface Arrival {
  readonly from: number;
  /** When it got in, or gave up. */
  readonly at: number;
  readonly gotIn: boolean;
  readonly stalled: boolean;
}

/** What a verifier process found out about itself. */
export interface SelfReport {
  readonly calls: number;
  readonly left: number;
  /** What came of each call that was still waiting after its deadline. */
  readonly late: readonly object[];
  readonly thrown: readonly string[];
  readonly unhandled: readonly string[];
  readonly mostInFlight: number;
  readonly mostAsking: number;
  /** Sockets and timers that were still there after `close()`. */
  readonly leftBehind: readonly string[];
}

export type FromVerifier =
  /** It has been answered, and so has its first control question, where it asks one. */
  | { readonly type: 'ready' }
  | { readonly type: 'seen'; readonly sightings: readonly Sighting[]; readonly arrivals: readonly Arrival[] }
  | { readonly type: 'done'; readonly report: SelfReport };

export type ToVerifier =
  /** The plan begins at this time. */
  | { readonly type: 'begin'; readonly at: number }
  | { readonly type: 'forget'; readonly key: number }
  | { readonly type: 'stop' };
