import type { VerifyResult } from '../core/result.js';
import type { BreakerState } from '../resilience/breaker.js';

type Source = VerifyResult<unknown, boolean>['source'];

/** What a verifier did since it was built, and how it stands. */
export interface Stats {
  /** How many results came from where. */
  readonly results: Readonly<Record<Source, number>>;
  /** How many verdicts are remembered. */
  readonly entries: { readonly verified: number; readonly rejected: number };
  /** How many questions are being asked, and how many wait for their turn. */
  readonly asking: number;
  readonly waiting: number;
  readonly breaker: BreakerState;
}

/** Counts results by their source. */
export class ResultCounter {
  #hits = 0;
  readonly #results: Record<Exclude<Source, 'cache'>, number> = {
    server: 0,
    stale: 0,
    local: 0,
    'fail-open': 0,
    'fail-closed': 0,
  };

  count<Result extends { readonly source: Source }>(result: Result): Result {
    if (result.source === 'cache') return this.hit(result);
    this.#results[result.source]++;
    return result;
  }

  /** Nearly all of them, so one that comes from the cache is counted unseen: it may lie where reading takes long. */
  hit<Result>(result: Result): Result {
    this.#hits++;
    return result;
  }

  snapshot(rest: Omit<Stats, 'results'>): Stats {
    return { results: { ...this.#results, cache: this.#hits }, ...rest };
  }
}
