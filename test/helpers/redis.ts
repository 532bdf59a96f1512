import { spawnSync } from 'node:child_process';

import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';

import type { SendCommand } from 'keyverify/redis';

import { RedisServer } from './redis-server.js';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** For `describe.skipIf()`: a real Redis is needed. `.ci/run` installs it and sets KEYVERIFY_NEEDS_REDIS. */
export const withoutRedis = !isInstalled;
if (!isInstalled) {
  const how = 'redis-server is not installed (Debian: apt-get install redis-server)';
  if (process.env['KEYVERIFY_NEEDS_REDIS'] !== undefined) throw new Error(how);
  console.warn(`${how}: the tests that need it are skipped`);
}

export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start(args);
  onTestFinished(async () => await server.close());
  return server;
}

/** The ways in which the tests talk to Redis. */
export const CLIENTS = ['ioredis', 'ioredis RESP3', 'node-redis', 'node-redis RESP3'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** One client of each kind, as a service would have it. */
export async function connectClient(name: ClientName, port: number): Promise<SendCommand> {
  const isResp3 = name.endsWith('RESP3');
  if (name.startsWith('ioredis')) {
    const options = { port, host: '127.0.0.1', protocol: isResp3 ? 3 : 2 } as const;
    const redis = new Redis({ ...options, retryStrategy: () => 20, maxRetriesPerRequest: 1 });
    redis.on('error', () => undefined);
    onTestFinished(() => redis.disconnect());
    return async (command) => await redis.call(...command);
  }
  const url = `redis://127.0.0.1:${port}`;
  const client = createClient({ url, RESP: isResp3 ? 3 : 2, socket: { reconnectStrategy: () => 20 } });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return async (command) => await client.sendCommand(command);
}
