import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';

import type { SendCommand } from 'keyverify/redis';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** For `describe.skipIf()`: a real Redis is needed. `.ci/run` installs it and sets KEYVERIFY_NEEDS_REDIS. */
export const withoutRedis = !isInstalled;
if (!isInstalled) {
  const how = 'redis-server is not installed (Debian: apt-get install redis-server)';
  if (process.env['KEYVERIFY_NEEDS_REDIS'] !== undefined) throw new Error(how);
  console.warn(`${how}: the tests that need it are skipped`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  server.close();
  await once(server, 'close');
  // A node of a cluster also listens 10 000 above.
  return address.port < 55_000 ? address.port : await freePort();
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A redis-server on loopback that keeps nothing. */
export class RedisServer {
  readonly port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'keyverify-redis-'));
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(port: number, args: readonly string[] = []) {
    this.port = port;
    this.#args = args;
  }

  async start(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory];
    const lasting = ['--save', '', '--appendonly', 'no', '--daemonize', 'no', ...this.#args];
    this.#child = spawn('redis-server', [...args, ...lasting], { stdio: 'ignore' });
    while (!(await accepts(this.port))) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  const server = new RedisServer(await freePort(), args);
  await server.start();
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
