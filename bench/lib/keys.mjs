import { hash } from 'node:crypto';

export const TOKEN = 'service-token';

/** Keys that look like issued ones, a prefix and 32 random characters, but are the same in every run. */
export const keyOf = (i) => `sk-live-${hash('sha256', String(i), 'hex').slice(0, 32)}`;

/** What the key server knows about the key with this number. */
export const recordOf = (i) => ({
  client: `client-${String(i % 500).padStart(6, '0')}`,
  tenant: `customer-${String(i % 50).padStart(6, '0')}`,
  keyId: `key-${String(i).padStart(9, '0')}`,
  claims: { plan: 'pro' },
});

/** A transport without a network that verifies every key, to fill a cache with. */
export function instantTransport(numberOf) {
  const encoder = new TextEncoder();
  const header = (name) => (name === 'content-type' ? 'application/json' : undefined);
  return {
    send({ body }) {
      const { client, tenant, keyId, claims } = recordOf(numberOf(JSON.parse(body).key));
      const text = JSON.stringify({ valid: true, client, tenant, key_id: keyId, ...claims });
      return { response: Promise.resolve({ status: 200, header, body: encoder.encode(text) }), abort: () => undefined };
    },
  };
}
