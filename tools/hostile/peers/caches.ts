import { createCache, DefaultStatefulContext, Namespace } from '@unkey/cache';
import { MemoryStore } from '@unkey/cache/stores';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { Cacheable, createKeyv } from 'cacheable';
import { KeyVerifier } from 'keyverify';
import { LRUCache } from 'lru-cache';

/** How a cache in front of the key server is set up. Every duration is in milliseconds. */
export interface Setup {
  readonly verifyUrl: string;
  readonly capacity: number;
  readonly ttlMs: number;
}

/** A cache, and how it is asked about a key: by its own way of loading what it doesn't hold, as its documentation has it. */
export interface Cache {
  /** The share of its TTL after which a verdict is refreshed, if there is something like it. */
  readonly refreshesAfter: number;
  /** Whether the key is good. Rejects where there is no answer. */
  ask(key: string, signal?: AbortSignal): Promise<boolean>;
  forget(key: string): unknown;
}

/** What one writes where a package wants a function that loads. */
async function load(verifyUrl: string, key: string, signal?: AbortSignal): Promise<boolean> {
  const headers = { 'content-type': 'application/json', 'x-service-token': 'service-token' };
  const response = await fetch(verifyUrl, {
    method: 'POST',
    headers,
    body: JSON.stringify({ key }),
    signal: signal ?? null,
  });
  if (!response.ok) throw new Error(`the key server answered ${response.status}`);
  const { valid } = (await response.json()) as { valid: boolean };
  return valid;
}

const STALE_MS = 3_600_000;
const REFRESH_AHEAD = 0.5;

function keyverify({ verifyUrl, capacity, ttlMs }: Setup): Cache {
  const verifier = new KeyVerifier({
    verifyUrl,
    serviceToken: 'service-token',
    cacheTtlMs: ttlMs,
    refreshAheadRatio: REFRESH_AHEAD,
    maxEntries: capacity / 2,
    maxRejectedEntries: capacity / 2,
  });
  return {
    refreshesAfter: REFRESH_AHEAD,
    async ask(key, signal) {
      const result = await verifier.verify(key, { signal });
      if ('failure' in result) throw result.failure;
      return result.valid;
    },
    forget: (key) => verifier.invalidate({ key }),
  };
}

function lruCache({ verifyUrl, capacity, ttlMs }: Setup): Cache {
  const cache = new LRUCache<string, { valid: boolean }>({
    max: capacity,
    ttl: ttlMs,
    allowStale: true,
    fetchMethod: async (key, _, { signal }) => ({ valid: await load(verifyUrl, key, signal) }),
  });
  return {
    refreshesAfter: 1,
    async ask(key, signal) {
      const found = await cache.fetch(key, signal && { signal });
      if (found === undefined) throw new Error('nothing was loaded');
      return found.valid;
    },
    forget: (key) => cache.delete(key),
  };
}

function unkeyCache({ verifyUrl, capacity, ttlMs }: Setup): Cache {
  const store = new MemoryStore({
    persistentMap: new Map(),
    unstableEvictOnSet: { frequency: 1, maxItems: capacity },
  });
  const options = { stores: [store], fresh: ttlMs, stale: STALE_MS };
  const cache = createCache({ keys: new Namespace(new DefaultStatefulContext(), options) }).keys;
  return {
    refreshesAfter: 1,
    async ask(key) {
      const { val, err } = await cache.swr(key, async () => await load(verifyUrl, key));
      if (err !== undefined) throw err;
      return val === true;
    },
    forget: async (key) => await cache.remove(key),
  };
}

function bentocache({ verifyUrl, capacity, ttlMs }: Setup): Cache {
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: capacity }));
  const cache = new BentoCache({ default: 'memory', stores: { memory: store } });
  return {
    refreshesAfter: 1,
    async ask(key) {
      const factory = async (): Promise<boolean> => await load(verifyUrl, key);
      return (await cache.getOrSet({ key, factory, ttl: ttlMs, grace: STALE_MS, timeout: 0 })) === true;
    },
    forget: async (key) => await cache.delete({ key }),
  };
}

function cacheable({ verifyUrl, capacity, ttlMs }: Setup): Cache {
  const cache = new Cacheable({ primary: createKeyv({ lruSize: capacity }), ttl: ttlMs });
  return {
    refreshesAfter: 1,
    async ask(key) {
      const options = { ttl: ttlMs, throwErrors: true };
      return (await cache.getOrSet(key, async () => await load(verifyUrl, key), options)) === true;
    },
    forget: async (key) => await cache.delete(key),
  };
}

/** By name, the one that is meant first. */
export const caches: Readonly<Record<string, (setup: Setup) => Cache>> = {
  keyverify,
  'lru-cache': lruCache,
  '@unkey/cache': unkeyCache,
  bentocache,
  cacheable,
};
