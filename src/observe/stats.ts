import type { ResultSource, Stats } from '../core/stats.js';

/** Counts results by their source. */
export class ResultCounter {
  #hits = 0;
  readonly #results: Record<Exclude<ResultSource, 'cache'>, number> = {
    server: 0,
    stale: 0,
    local: 0,
    'fail-open': 0,
    'fail-closed': 0,
  };

  count<Result extends { readonly source: ResultSource }>(result: Result): Result {
    if (result.source === 'cache') return this.hit(result);
    this.#results[result.source]++;
    return result;
  }

  /** Counts a hit without reading the result, which would cost a memory access: nearly all results are hits. */
  hit<Result>(result: Result): Result {
    this.#hits++;
    return result;
  }

  snapshot(rest: Omit<Stats, 'results'>): Stats {
    return { results: { ...this.#results, cache: this.#hits }, ...rest };
  }
}
