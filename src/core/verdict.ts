import type { Instant } from './clock.js';
import type { DefaultClaims, Rejected, Verified } from './result.js';

/** What the key server allows to be done with a verdict, by its `Cache-Control` and `Age`. It only ever shortens. */
export interface Freshness {
  /** How long the verdict may be served, in milliseconds; `Infinity` where the server says nothing. */
  readonly maxAgeMs: number;
  /** `no-store`: the verdict is not kept. */
  readonly noStore: boolean;
  /** `no-cache`, `must-revalidate`: the verdict is never served past its TTL, not even in an outage. */
  readonly noStale: boolean;
}

/** What the key server said about a key: the only thing that is ever cached. */
export interface Verdict<Claims> {
  readonly result: Verified<Claims> | Rejected;
  readonly freshness: Freshness;
  /** When the request was sent that it answers: its age counts from there. */
  readonly askedAt: Instant;
  /** The claims of a verified key as they were sent, before a schema. */
  readonly rawClaims?: DefaultClaims | undefined;
}
