import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { redisRevocations } from 'keyverify/redis';
import { startKeyServer } from 'keyverify/testing';

import { RedisServer } from '../../helpers/redis-server.js';
import { start } from '../lib/child.js';
import { percentile } from '../lib/figures.js';
import type { Seen, Watch } from './member.js';

const PROCESSES = 4;
const RECORD = { client: 'acme', tenant: 'cust-A' };
/** A revocation that is not effective by then was lost, in milliseconds. */
const LOST_MS = 45_000;

export interface Lags {
  readonly revocations: number;
  readonly lost: number;
  readonly median: number;
  readonly p99: number;
}

/** How long until a revocation is effective in each of 4 processes; with `disturb`, after something went wrong each time. */
export async function measureLags(
  way: 'redis' | 'sse',
  { pollMs, rounds, disturb = false }: { readonly pollMs: number; readonly rounds: number; readonly disturb?: boolean },
): Promise<Lags> {
  const server = await RedisServer.start();
  const { port } = server;
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
  const keyServer = await startKeyServer({ publishTo: redisRevocations({ send }), heartbeatMs: 1_000 });
  const children: ChildProcess[] = [];
  const lags: number[] = [];
  let lost = 0;

  async function restart(): Promise<void> {
    await server.kill();
    await server.start();
  }
  const disturbances: readonly (() => unknown)[] =
    way === 'sse'
      ? [() => keyServer.dropConnections(), () => keyServer.restartStream()]
      : [
          restart,
          async () => await redis.del('keyverify:revocations'),
          async () => await redis.flushall(),
          async () => await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
          // The event itself is trimmed before anybody can have read it.
          async () => await redis.xtrim('keyverify:revocations', 'MAXLEN', 0),
        ];

  try {
    for (let i = 0; i < PROCESSES; i++)
      children.push(
        start(new URL('./member.ts', import.meta.url), [keyServer.verifyUrl, port, way, pollMs].map(String)),
      );
    const seen: (child: ChildProcess, key: string, status: string) => Promise<number> = async (child, key, status) =>
      await new Promise((resolve) => {
        const listen = (message: Seen): void => {
          if (message.key !== key || message.status !== status) return;
          child.off('message', listen);
          resolve(message.at);
        };
        child.on('message', listen);
      });
    await Promise.all(children.map(async (child) => await seen(child, '', 'ready')));
    for (let round = 0; round < rounds; round++) {
      const key = `sk-lag-${round}`;
      keyServer.issue(key, RECORD);
      const good = children.map(async (child) => await seen(child, key, 'verified'));
      for (const child of children) child.send({ key } satisfies Watch);
      await Promise.all(good);
      const refused = children.map(async (child) => await seen(child, key, 'rejected'));
      if (!disturb) await sleep(50 + ((round * 37) % pollMs));
      const at = Date.now();
      keyServer.revoke(key);
      if (disturb) await disturbances[round % disturbances.length]?.();
      const results = await Promise.all(
        refused.map(async (result) => await Promise.race([result, sleep(LOST_MS, undefined, { ref: false })])),
      );
      for (const result of results) {
        if (result === undefined) lost++;
        else lags.push(result - at);
      }
    }
  } finally {
    for (const child of children) child.disconnect();
    await keyServer.close();
    redis.disconnect();
    await server.close();
  }
  const sorted = Float64Array.from(lags).sort();
  return { revocations: rounds, lost, median: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}
