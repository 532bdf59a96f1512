import type { Freshness } from '../core/verdict.js';

const UNLIMITED: Freshness = { maxAgeMs: Infinity, noStore: false, noStale: false };

/** Directives that forbid serving a response past its freshness, RFC 9111 5.2.2. */
const NO_STALE = ['no-cache', 'must-revalidate', 'no-store'];

/**
 * What `Cache-Control` and `Age` allow, as for a private cache (RFC 9111). A `max-age` that can't be read counts as 0, an
 * `Age` as none (RFC 9111 5.1).
 */
export function freshnessOf(cacheControl: string | undefined, age: string | undefined): Freshness {
  if (cacheControl === undefined) return UNLIMITED;
  const directives = cacheControl
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim());
  const names = directives.map((directive) => directive.split('=', 1).join('').trim());
  const has = (name: string): boolean => names.includes(name);
  const ages = directives.filter((_, at) => names[at] === 'max-age').map(seconds);
  const lifetime = has('no-cache') ? 0 : Math.min(...ages);
  return {
    // `Age` is how long the response has lain in caches between us and the server, RFC 9111 4.2.3.
    maxAgeMs: Math.max(0, lifetime - ageSeconds(age)) * 1000,
    noStore: has('no-store'),
    noStale: NO_STALE.some(has),
  };
}

function seconds(directive: string): number {
  return toNumber(/^max-age\s*=\s*"?(\d+)"?$/.exec(directive)?.[1]);
}

/** Of several the first counts. */
function ageSeconds(age = ''): number {
  return toNumber(/^\s*(\d+)\s*(?:,|$)/.exec(age)?.[1]);
}

/** What is too long to count is 2^31 seconds, RFC 9111 1.2.2. */
function toNumber(seconds = '0'): number {
  return Math.min(Number(seconds), 2 ** 31);
}
