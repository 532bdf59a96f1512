import type { BreakerState } from './events.js';
import type { VerifyResult } from './result.js';

export type ResultSource = VerifyResult<unknown, boolean>['source'];

/** What a verifier did since it was built, and its present state. */
export interface Stats {
  /** How many results came from each source. */
  readonly results: Readonly<Record<ResultSource, number>>;
  /** How many keys are cached; those whose verdict was invalidated count until they are asked about again. */
  readonly entries: { readonly verified: number; readonly rejected: number };
  /** How many questions are being asked. */
  readonly active: number;
  /** How many questions wait for a free slot. */
  readonly queued: number;
  /** How many control questions were asked, see `docs/outages.md`. */
  readonly controls: number;
  readonly breaker: BreakerState;
}
