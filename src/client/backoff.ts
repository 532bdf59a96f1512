import type { Backoff } from '../cache/entry.js';
import type { VerifyFailure } from '../core/failure.js';

/** How long a key isn't asked about after a failure, in milliseconds. */
const BACKOFF_MS = 500;

/** A key failed, so it isn't asked about for a while. `latest`: the latest failures by fingerprint, the oldest first. */
export function backOff(
  fingerprint: string,
  entry: { backoff?: Backoff | undefined } | undefined,
  failure: VerifyFailure,
  latest: Map<string, Backoff>,
  mono: number,
): void {
  // A question that was refused at once says nothing about the key.
  if (failure.attempts + failure.durationMs === 0) return;
  // A failure weighs more than a verdict: in a long outage, every entry would come to hold one.
  for (const [fingerprint, oldest] of latest) {
    if (mono < oldest.until) break;
    oldest.failure = undefined;
    latest.delete(fingerprint);
  }
  const before = entry ? entry.backoff : latest.get(fingerprint);
  const isOwn = failure.evidence === 'none' && ['timeout', 'rate_limited'].includes(failure.kind);
  const alone = isOwn ? (before?.alone ?? 0) + 1 : 0;
  // A known key may have hung in an outage that is over: only the second time it is this key.
  const backoff = {
    until: mono + (entry && alone === 1 ? 0 : BACKOFF_MS),
    since: before?.since ?? mono,
    failure,
    alone,
  };
  latest.delete(fingerprint);
  latest.set(fingerprint, backoff);
  if (entry) entry.backoff = backoff;
}
