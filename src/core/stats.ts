import type { BreakerState } from './breaker.js';
import type { SharedEvent } from './events.js';
import type { FailureKind } from './failure.js';
import type { Rejected, Verified, VerifyResult } from './result.js';

type ResultSource = VerifyResult<unknown, boolean>['source'];

/** How many results there were, by status; verdicts also by source. */
export interface StatusCounts {
  /** How many results verified a key, by source. */
  readonly verified: Readonly<Record<Verified['source'], number>>;
  /** How many results rejected a key, by source. */
  readonly rejected: Readonly<Record<Rejected['source'], number>>;
  /** How many callers were let in without an identity. */
  readonly 'failed-open': number;
  /** How many callers were denied because there was no verdict. */
  readonly 'failed-closed': number;
}

/** What `stats()` returns: counts since the verifier was built, and its present state. */
export interface Stats {
  /** How many results came from each source. */
  readonly results: Readonly<Record<ResultSource, number>>;
  /** The same by status; verdicts also by source. */
  readonly statuses: StatusCounts;
  /** How many rejections there were for each reason. Beyond 32 different ones, the others count as `other`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** How many questions about keys ended without a verdict, by the kind of failure. */
  readonly failures: Readonly<Record<FailureKind, number>>;
  /** How many requests were sent to the key server, retries and control questions included. */
  readonly requests: number;
  /** How many of them repeated one that had failed, or was not answered within its share of `timeoutMs`. */
  readonly retries: number;
  /** How many callers waited for a question that another caller had asked. */
  readonly coalesced: number;
  /** How many cached verdicts were asked about again in the background. */
  readonly refreshes: number;
  /** How many verdicts were evicted to make room for others. */
  readonly evictions: number;
  /** How many keys are cached; those whose verdict was invalidated count until they are asked about again. */
  readonly entries: { readonly verified: number; readonly rejected: number };
  /** How many questions are being asked. */
  readonly active: number;
  /** How many questions wait for a free slot. */
  readonly queued: number;
  /**
   * How many control questions were asked, see
   * https://github.com/keyverify/keyverify/blob/main/docs/outages.md#what-counts-as-an-outage
   */
  readonly controls: number;
  /** The state of the circuit breaker; `closed` if it is disabled. */
  readonly breaker: BreakerState;
  /** The shared cache; zeros without one. */
  readonly shared: SharedStats;
  /** Streams of revocations; zeros without one. */
  readonly revocations: RevocationStats;
}

/** Counts of operations on the shared cache. */
export interface SharedStats {
  /** How many operations there were, failures included. */
  readonly operations: Readonly<Record<SharedEvent['operation'], number>>;
  /** Reads that found an entry. */
  readonly hits: number;
  /** Reads that found none. */
  readonly misses: number;
  /** Reads of an entry that was forged, altered or moved, or sealed with another secret. */
  readonly unsealable: number;
  /** Operations of any kind that failed or took too long. */
  readonly failures: number;
}

/** Counts of what the streams of revocations delivered. */
export interface RevocationStats {
  /** How many messages said that keys were revoked or changed. */
  readonly messages: number;
  /** How many of them said that keys were revoked. */
  readonly revoked: number;
  /** How often revocations may have been lost. */
  readonly gaps: number;
  /** Whether a stream is down: verdicts then stay fresh for `degradedTtlMs` at most. */
  readonly down: boolean;
}

/** Of a verifier that shares nothing. */
export const NO_FLEET_STATS: Pick<Stats, 'shared' | 'revocations'> = {
  shared: { operations: { get: 0, put: 0, lease: 0, probe: 0 }, hits: 0, misses: 0, unsealable: 0, failures: 0 },
  revocations: { messages: 0, revoked: 0, gaps: 0, down: false },
};
