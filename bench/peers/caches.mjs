import { DefaultStatefulContext, Namespace, createCache } from '@unkey/cache';
import { MemoryStore } from '@unkey/cache/stores';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { Cacheable, createKeyv } from 'cacheable';
import { LRUCache } from 'lru-cache';

import { KeyVerifier } from '../../dist/index.js';
import { ask } from '../lib/ask.mjs';
import { TOKEN } from '../lib/keys.mjs';

const STALE_MS = 3_600_000;
const REFRESH_AHEAD_RATIO = 0.5;

/**
 * Caches in front of a key server, each loading what it lacks as its documentation has it. `verify(key, signal)` resolves to
 * whether the key is valid and rejects without a verdict; `refreshesAfter` is the share of the TTL after which the cache
 * refreshes an entry. Durations are in milliseconds.
 */
export const caches = {
  keyverify({ verifyUrl, capacity, ttlMs }) {
    const verifier = new KeyVerifier({
      verifyUrl,
      serviceToken: TOKEN,
      cacheTtlMs: ttlMs,
      refreshAheadRatio: REFRESH_AHEAD_RATIO,
      maxEntries: capacity / 2,
      maxRejectedEntries: capacity / 2,
    });
    return {
      refreshesAfter: REFRESH_AHEAD_RATIO,
      async verify(key, signal) {
        const result = await verifier.verify(key, { signal });
        if ('failure' in result) throw result.failure;
        return result.valid;
      },
      invalidate: (key) => verifier.invalidate({ key }),
    };
  },

  'lru-cache'({ verifyUrl, capacity, ttlMs }) {
    const cache = new LRUCache({
      max: capacity,
      ttl: ttlMs,
      allowStale: true,
      fetchMethod: (key, _stale, { signal }) => ask(verifyUrl, key, signal),
    });
    return {
      refreshesAfter: 1,
      async verify(key, signal) {
        const verdict = await cache.fetch(key, signal && { signal });
        if (verdict === undefined) throw new Error('nothing was loaded');
        return verdict.valid;
      },
      invalidate: (key) => cache.delete(key),
    };
  },

  '@unkey/cache'({ verifyUrl, capacity, ttlMs }) {
    const eviction = { frequency: 1, maxItems: capacity };
    const store = new MemoryStore({ persistentMap: new Map(), unstableEvictOnSet: eviction });
    const options = { stores: [store], fresh: ttlMs, stale: STALE_MS };
    const cache = createCache({ keys: new Namespace(new DefaultStatefulContext(), options) }).keys;
    return {
      refreshesAfter: 1,
      async verify(key) {
        const { val, err } = await cache.swr(key, () => ask(verifyUrl, key));
        if (err !== undefined) throw err;
        return val.valid;
      },
      invalidate: (key) => cache.remove(key),
    };
  },

  bentocache({ verifyUrl, capacity, ttlMs }) {
    const store = bentostore().useL1Layer(memoryDriver({ maxItems: capacity }));
    const cache = new BentoCache({ default: 'memory', stores: { memory: store } });
    const options = { ttl: ttlMs, grace: STALE_MS, timeout: 0 };
    return {
      refreshesAfter: 1,
      verify: async (key) => (await cache.getOrSet({ key, factory: () => ask(verifyUrl, key), ...options })).valid,
      invalidate: (key) => cache.delete({ key }),
    };
  },

  cacheable({ verifyUrl, capacity, ttlMs }) {
    const cache = new Cacheable({ primary: createKeyv({ lruSize: capacity }), ttl: ttlMs });
    const options = { ttl: ttlMs, throwErrors: true };
    return {
      refreshesAfter: 1,
      verify: async (key) => (await cache.getOrSet(key, () => ask(verifyUrl, key), options)).valid,
      invalidate: (key) => cache.delete(key),
    };
  },
};
