/** The longest that a `Retry-After` is believed, in milliseconds. */
export const LONGEST_RETRY_AFTER_MS = 30_000;

/** `Date.parse` alone takes nearly anything for a date, `1.5` too. */
const HTTP_DATE = /^[A-Z][a-z]+, .+ GMT$/;

/** Reads `Retry-After`, seconds or an HTTP date, as milliseconds; `undefined` where it is neither. */
export function retryAfterMs(header: string | undefined, wall: number): number | undefined {
  if (header === undefined) return undefined;
  const date = HTTP_DATE.test(header) ? Date.parse(header) : NaN;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : date - wall;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
