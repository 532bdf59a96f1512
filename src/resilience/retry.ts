import type { FailureKind, AttemptFailure } from '../core/failure.js';

const BASE_DELAY_MS = 100;

const TRANSIENT: ReadonlySet<FailureKind> = new Set(['unreachable', 'timeout', 'server_error']);

/** How many more requests a failure deserves, `sent` having been sent. */
export function retriesLeft(failure: AttemptFailure, sent: number, retries: number): number {
  if (TRANSIENT.has(failure.kind)) return retries + 1 - sent;
  // An answer that was garbled in transit may be whole the next time; one that is wrong twice is wrong.
  return failure.kind === 'invalid_response' ? Math.min(retries, 1) + 1 - sent : 0;
}

/**
 * Full jitter: from nothing up to a bound that doubles, so that callers who failed together don't return together; and not
 * before the server's `Retry-After`.
 */
export function retryDelayMs(failure: AttemptFailure, sent: number, random: () => number): number {
  return Math.max(failure.retryAfterMs ?? 0, random() * BASE_DELAY_MS * 2 ** (sent - 1));
}
