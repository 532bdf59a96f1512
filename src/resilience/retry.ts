import type { FailureKind, AttemptFailure } from '../core/failure.js';

/** The longest that a `Retry-After` is believed, in milliseconds. */
export const LONGEST_RETRY_AFTER_MS = 30_000;
const BASE_DELAY_MS = 100;

const TRANSIENT: ReadonlySet<FailureKind> = new Set(['unreachable', 'timeout', 'server_error']);

/** How many more requests a failure deserves, `sent` having been sent. */
export function retriesLeft(problem: AttemptFailure, sent: number, retries: number): number {
  if (TRANSIENT.has(problem.kind)) return retries + 1 - sent;
  // An answer that was garbled on its way may be whole the next time; one that is wrong twice is wrong.
  return problem.kind === 'invalid_response' ? Math.min(retries, 1) + 1 - sent : 0;
}

/** Full jitter: anything from nothing to a bound that doubles, so that callers who failed together don't return together. */
export function retryDelayMs(problem: AttemptFailure, sent: number, random: () => number): number {
  return problem.retryAfterMs ?? random() * BASE_DELAY_MS * 2 ** (sent - 1);
}

/** `Date.parse` alone takes nearly anything for a date, `1.5` too. */
const HTTP_DATE = /^[A-Z][a-z]+, .+ GMT$/;

/** Reads `Retry-After`, seconds or an HTTP date, as milliseconds; `undefined` where it is neither. */
export function retryAfterMs(header: string | undefined, wall: number): number | undefined {
  if (header === undefined) return undefined;
  const date = HTTP_DATE.test(header) ? Date.parse(header) : NaN;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : date - wall;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
