import type { Freshness, Rejected, Verified } from 'keyverify';

import type { Instant } from '../../src/core/clock.js';
import type { Verdict } from '../../src/core/verdict.js';

export const ASKED_AT = { wall: 1_000_000, mono: 5_000 };

export const later = (ms: number): Instant => ({ wall: ASKED_AT.wall + ms, mono: ASKED_AT.mono + ms });

export function verified(fields: Partial<Omit<Verified, 'status' | 'valid'>> = {}): Verified {
  return {
    status: 'verified',
    valid: true,
    source: 'server',
    client: 'acme',
    tenant: 'cust-A',
    claims: { plan: 'pro' },
    verifiedAt: ASKED_AT.wall,
    ...fields,
  };
}

export function rejected(reason = 'revoked', source: Rejected['source'] = 'server'): Rejected {
  return { status: 'rejected', valid: false, source, reason };
}

/** A verdict with no more in `Cache-Control` than this says, asked for `atMs` after `ASKED_AT`. */
export function verdict(
  result: Verified | Rejected,
  atMs = 0,
  freshness: Partial<Freshness> = {},
): Verdict<Verified['claims']> {
  return {
    result,
    freshness: { maxAgeMs: Infinity, noStore: false, noStale: false, ...freshness },
    askedAt: later(atMs),
  };
}

export const NO_STORE: Freshness = { maxAgeMs: Infinity, noStore: true, noStale: true };
