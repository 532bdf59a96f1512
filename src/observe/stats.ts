import type { FailureKind } from '../core/failure.js';
import type { VerifyResult } from '../core/result.js';
import type { Stats } from '../core/stats.js';

type Result = VerifyResult<unknown, boolean>;
type ResultStats = Pick<Stats, 'results' | 'statuses' | 'reasons'>;

/** A key server may give any reason, so only so many are counted by name. */
const MOST_REASONS = 32;

/** Counts results by status, source and reason. */
export class ResultCounter {
  /** In a field of its own: nearly all results are hits on verified keys. */
  #hits = 0;
  readonly #verified = { server: 0, shared: 0, stale: 0 };
  readonly #rejected = { server: 0, shared: 0, cache: 0, stale: 0, local: 0 };
  readonly #failed = { 'fail-open': 0, 'fail-closed': 0 };
  readonly #reasons = new Map<string, number>();

  /** Counts a hit on a verified key, without a look at it: it may not be in the processor's caches. */
  hit<Counted extends Result>(result: Counted): Counted {
    this.#hits++;
    return result;
  }

  count<Counted extends Result>(result: Counted): Counted {
    if (result.status === 'verified') {
      if (result.source === 'cache') this.#hits++;
      else this.#verified[result.source]++;
    } else if (result.status === 'rejected') {
      this.#rejected[result.source]++;
      const reason = this.#reasons.size < MOST_REASONS || this.#reasons.has(result.reason) ? result.reason : 'other';
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    } else this.#failed[result.source]++;
    return result;
  }

  snapshot(): ResultStats {
    const verified = { ...this.#verified, cache: this.#hits };
    const rejected = { ...this.#rejected };
    return {
      results: {
        server: verified.server + rejected.server,
        shared: verified.shared + rejected.shared,
        cache: verified.cache + rejected.cache,
        stale: verified.stale + rejected.stale,
        local: rejected.local,
        ...this.#failed,
      },
      statuses: {
        verified,
        rejected,
        'failed-open': this.#failed['fail-open'],
        'failed-closed': this.#failed['fail-closed'],
      },
      reasons: Object.fromEntries(this.#reasons),
    };
  }
}

/** No failure of any kind yet. */
export const noFailures = (): Record<FailureKind, number> => ({
  unreachable: 0,
  timeout: 0,
  server_error: 0,
  rate_limited: 0,
  overloaded: 0,
  circuit_open: 0,
  misconfigured: 0,
  invalid_response: 0,
});
