import type { VerifyFailure } from './core/failure.js';
import type { Rejected, Verified, VerifyResult } from './core/result.js';

/** What to make of a failure: honour a stale verdict, else open for an outage if that is wanted, else deny. */
export function decide<Claims>(
  stale: Verified<Claims> | Rejected | undefined,
  failure: VerifyFailure,
  failOpen: boolean,
): VerifyResult<Claims, boolean> {
  if (stale !== undefined) return stale;
  if (failOpen && failure.isOutage)
    return Object.freeze({ valid: true, source: 'fail-open', client: null, tenant: null, failure });
  return Object.freeze({ valid: false, source: 'fail-closed', reason: 'unavailable', failure });
}
