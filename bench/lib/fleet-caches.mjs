import { DefaultStatefulContext, Namespace, createCache } from '@unkey/cache';
import { MemoryStore } from '@unkey/cache/stores';
import KeyvRedis from '@keyv/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { Cacheable, createKeyv } from 'cacheable';
import { Redis } from 'ioredis';

import { KeyVerifier } from '../../dist/index.js';
import { redisCache, redisRevocations } from '../../dist/redis.js';
import { ask } from './ask.mjs';
import { TOKEN } from './keys.mjs';

const STALE_MS = 3_600_000;
const CAPACITY = 50_000;
const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const host = '127.0.0.1';

function connect(port) {
  const redis = new Redis({ host, port, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  return redis;
}

/** The only Redis that @unkey/cache can speak to itself is Upstash's, over HTTP; this is the same store on a socket. */
class UnkeyRedisStore {
  name = 'redis';
  #redis;

  constructor(redis) {
    this.#redis = redis;
  }

  async get(namespace, key) {
    const text = await this.#redis.get(`${namespace}::${key}`);
    return { val: text === null ? undefined : JSON.parse(text) };
  }

  async set(namespace, key, entry) {
    await this.#redis.set(`${namespace}::${key}`, JSON.stringify(entry), 'PXAT', entry.staleUntil);
    return { val: undefined };
  }

  async remove(namespace, key) {
    await this.#redis.del(`${namespace}::${key}`);
    return { val: undefined };
  }
}

/**
 * One process of a fleet for each package: a cache in memory before a Redis, and a key server behind. `verify(key)` resolves
 * to whether the key is valid and rejects without a verdict; `revoke(key)` is what this process can do when it is told that a
 * key was revoked. Durations are in milliseconds.
 */
export const fleetCaches = {
  keyverify({ verifyUrl, port, ttlMs }) {
    const redis = connect(port);
    const send = (command) => redis.call(...command);
    const verifier = new KeyVerifier({
      verifyUrl,
      serviceToken: TOKEN,
      cacheTtlMs: ttlMs,
      logger: false,
      sharedCache: redisCache({ send, secret: SECRET }),
      revocations: redisRevocations({ send, pollMs: 500 }),
    });
    return {
      async verify(key) {
        const result = await verifier.verify(key);
        if ('failure' in result) throw result.failure;
        return result.valid;
      },
      revoke: async (key) => await verifier.revoke({ key }),
      async close() {
        await verifier.close();
        redis.disconnect();
      },
    };
  },

  bentocache({ verifyUrl, port, ttlMs }) {
    const connection = { host, port, retryStrategy: () => 50 };
    const store = bentostore()
      .useL1Layer(memoryDriver({ maxItems: CAPACITY }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection }));
    const cache = new BentoCache({ default: 'tiers', stores: { tiers: store } });
    const options = { ttl: ttlMs, grace: STALE_MS, timeout: 0 };
    return {
      verify: async (key) => (await cache.getOrSet({ key, factory: () => ask(verifyUrl, key), ...options })).valid,
      revoke: async (key) => void (await cache.delete({ key })),
      close: async () => await cache.disconnectAll(),
    };
  },

  cacheable({ verifyUrl, port, ttlMs }) {
    const secondary = new KeyvRedis(`redis://${host}:${port}`);
    secondary.on('error', () => undefined);
    const cache = new Cacheable({ primary: createKeyv({ lruSize: CAPACITY }), secondary, ttl: ttlMs });
    cache.on('error', () => undefined);
    const options = { ttl: ttlMs, throwErrors: true };
    return {
      verify: async (key) => (await cache.getOrSet(key, () => ask(verifyUrl, key), options)).valid,
      revoke: async (key) => void (await cache.delete(key)),
      close: async () => await cache.disconnect(),
    };
  },

  '@unkey/cache'({ verifyUrl, port, ttlMs }) {
    const redis = connect(port);
    const stores = [new MemoryStore({ persistentMap: new Map() }), new UnkeyRedisStore(redis)];
    const options = { stores, fresh: ttlMs, stale: STALE_MS };
    const cache = createCache({ keys: new Namespace(new DefaultStatefulContext(), options) }).keys;
    return {
      async verify(key) {
        const { val, err } = await cache.swr(key, () => ask(verifyUrl, key));
        if (err !== undefined) throw err;
        return val.valid;
      },
      revoke: async (key) => void (await cache.remove(key)),
      close: async () => redis.disconnect(),
    };
  },
};

export { connect };
