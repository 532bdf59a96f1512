import type { FailureKind } from 'keyverify';

/** How the processes of a run are set up, in milliseconds. The TTL is longer than the window after a gap. */
export const SETTINGS = {
  cacheTtlMs: 40_000,
  rejectedTtlMs: 1_000,
  staleIfErrorMs: 60_000,
  timeoutMs: 1_200,
  sharedTimeoutMs: 50,
  pollMs: 200,
  heartbeatMs: 500,
} as const;

/** What may have been revoked unnoticed is asked about again within this time. */
export const WINDOW_MS = 30_000;
/** How soon a revocation that was published is effective where nothing is broken: the rest is for a busy machine. */
export const LAG_MS = { redis: SETTINGS.pollMs + 200, sse: 250 } as const;
export const SLACK_MS = 800;

export const TOKEN = 'service-token-of-the-fleet';
export const SECRET = 'a-secret-of-the-fleet-with-more-than-32-characters';

/** The processes: how revocations reach them, and how far their wall clocks are off. */
export const MEMBERS = [
  { name: 'Redis', ways: ['redis'], clockMs: 0 },
  { name: 'Redis, clock 1 s ahead', ways: ['redis'], clockMs: 1_000 },
  { name: 'SSE, clock 4 min behind', ways: ['sse'], clockMs: -240_000 },
  { name: 'both, clock 7 min ahead', ways: ['redis', 'sse'], clockMs: 420_000 },
] as const;

/** Keys that are issued and revoked all the time; some are good throughout. */
export const CHANGING = 40;
export const REGULARS = { from: 1_000, count: 10 } as const;
export const keyOf = (key: number): string => `sk-fleet-${key.toString().padStart(6, '0')}`;

/** One result of `verify()`. Times are in milliseconds since the epoch, by the clock that all share. */
export interface Sighting {
  readonly key: number;
  readonly from: number;
  readonly at: number;
  readonly kind: 'verified' | 'rejected' | 'closed';
  readonly source: string;
  readonly failure: FailureKind | undefined;
  /** When this process was last told to forget the key. */
  readonly forgottenAt: number;
  readonly stalled: boolean;
}

export type FromMember =
  | { readonly type: 'ready' }
  | { readonly type: 'seen'; readonly sightings: readonly Sighting[] }
  | { readonly type: 'done'; readonly thrown: readonly string[]; readonly sources: Readonly<Record<string, number>> };

export type ToMember = { readonly type: 'forget'; readonly key: number } | { readonly type: 'stop' };
