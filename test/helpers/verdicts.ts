import type { Rejected, Verified } from 'keyverify';

export const ASKED_AT = { wall: 1_000_000, mono: 5_000 };

export function verified(fields: Partial<Verified> = {}): Verified {
  return {
    valid: true,
    source: 'server',
    client: 'acme',
    tenant: 'cust-A',
    claims: { plan: 'pro' },
    verifiedAt: ASKED_AT.wall,
    ...fields,
  };
}

export function rejected(reason = 'revoked'): Rejected {
  return { valid: false, source: 'server', reason };
}
