import { spawnSync } from 'node:child_process';

import { Redis } from 'ioredis';

import type { Revocation, RevocationSource, SharedCache } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';
import { memoryFleet } from 'keyverify/testing';

import { RedisServer } from '../../test/helpers/redis-server.js';

/** What the services share, and what can go wrong with it. */
export interface Store {
  readonly name: string;
  readonly command: string;
  readonly sharedCache: SharedCache;
  readonly revocations: RevocationSource;
  publish(revocation: Revocation): Promise<void>;
  readonly disturbances: readonly { readonly title: string; readonly run: () => unknown }[];
  close(): Promise<void>;
}

/** A redis-server of its own, or memory where there is none. */
export async function startStore(): Promise<Store> {
  if (spawnSync('redis-server', ['--version']).status === 0) return await startRedis();
  console.log('redis-server is not installed (Debian: apt-get install redis-server, macOS: brew install redis).');
  const { sharedCache, revocations } = memoryFleet();
  return {
    name: 'a store in memory, made by memoryFleet()',
    command: 'publish()',
    sharedCache,
    revocations,
    publish: async (revocation) => await revocations.publish(revocation),
    disturbances: [
      { title: 'The store is wiped. Verdicts are the same.', run: () => sharedCache.clear() },
      {
        title: 'Revocations may have been lost. Verdicts are asked about again, within 30 s.',
        run: () => revocations.gap(),
      },
    ],
    close: async () => await Promise.resolve(),
  };
}

async function startRedis(): Promise<Store> {
  const server = await RedisServer.start();
  const redis = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
  return {
    name: `Redis ${/redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? ''}`,
    command: 'one XADD',
    sharedCache: redisCache({ send, secret: 'a-secret-for-this-demo-of-32-characters' }),
    revocations: redisRevocations({ send, pollMs: 500 }),
    async publish({ type, select }) {
      await redis.xadd('keyverify:revocations', '*', 'event', JSON.stringify({ v: 1, type, select }));
    },
    disturbances: [
      {
        title: 'Redis freezes. A miss waits for 50 ms at most, and after five of them not at all.',
        run: () => server.freeze(),
      },
      { title: 'Redis is killed. Each service asks for itself.', run: async () => await server.kill() },
      {
        title: 'Redis comes back empty.',
        run: async () => await server.start(),
      },
    ],
    async close() {
      redis.disconnect();
      await server.close();
    },
  };
}
