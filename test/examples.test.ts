import { execFile, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { samples } from './docs/pages.js';

const tsx = ['--import', 'tsx'];
/** What `npm run example` does, in one process. */
const command = [...tsx, 'examples/run.ts'];
const env = { ...process.env, PORT: '0', TSX_TSCONFIG_PATH: 'tsconfig.node.json' };

/** Starts an example on a free port, and stops it in the end. */
async function withExample(name: string, drive: (port: number) => Promise<void>): Promise<void> {
  const lines = await withProcess([...command, name], drive);
  const way = { grpc: 'call /shop.Orders/List', ws: 'npx wscat' }[name] ?? 'curl';
  expect(lines[0]).toMatch(`The only valid key is sk-demo-1. To try it: ${way} `);
}

/** Gives the lines that it wrote until it listened. */
async function withProcess(args: readonly string[], drive: (port: number) => Promise<void>): Promise<string[]> {
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (line.startsWith('listening') || line.includes('port:')) break;
    }
    const port = Number(/(?:port: |:)(\d+)/.exec(lines.at(-1) ?? '')?.[1]);
    expect(port).toBeGreaterThan(0);
    await drive(port);
    return lines;
  } finally {
    child.kill();
    await once(child, 'close');
  }
}

async function ask(port: number, path: string, key?: string) {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  return { status: response.status, body: (await response.json()) as unknown };
}

const acme = { status: 200, body: { tenant: 'cust-A' } };

describe('the examples', { timeout: 30_000 }, () => {
  it.each([
    ['express', '/catalog'],
    ['fastify', '/catalog'],
    ['hono', '/catalog'],
    ['nest', '/catalog'],
    ['koa', null],
    ['node', null],
    ['fetch', null],
  ])('%s lets in whom it should', async (name, open) => {
    await withExample(name, async (port) => {
      expect(await ask(port, '/orders', 'sk-demo-1')).toEqual(acme);
      expect(await ask(port, '/orders')).toMatchObject({ status: 401, body: { reason: 'missing_key' } });
      expect(await ask(port, '/orders', 'sk-no')).toMatchObject({ status: 401, body: { reason: 'unknown_key' } });
      if (open !== null) expect(await ask(port, open)).toEqual({ status: 200, body: { tenant: null } });
      if (name === 'fetch') expect(await ask(port, '/loader', 'sk-demo-1')).toEqual(acme);
      if (name === 'fetch') expect((await ask(port, '/loader')).status).toBe(401);
    });
  });

  it('ws admits a valid key and refuses a request without one', async () => {
    await withExample('ws', async (port) => {
      const url = `ws://127.0.0.1:${port}`;
      const socket = new WebSocket(url, { headers: { 'x-api-key': 'sk-demo-1' } });
      const [message] = (await once(socket, 'message')) as [Buffer];
      expect(JSON.parse(message.toString())).toEqual({ tenant: 'cust-A' });
      socket.terminate();
      const [error] = (await once(new WebSocket(url), 'error')) as [Error];
      expect(error.message).toBe('Unexpected server response: 401');
    });
  });

  it('grpc answers a valid key and denies an unknown one', async () => {
    await withExample('grpc', async (port) => {
      const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
      const list = async (key: string): Promise<unknown> => {
        const metadata = new grpc.Metadata();
        metadata.set('authorization', `Bearer ${key}`);
        const send = (value: object): Buffer => Buffer.from(JSON.stringify(value));
        const receive = (bytes: Buffer): unknown => JSON.parse(bytes.toString());
        return await new Promise((resolve, reject) => {
          client.makeUnaryRequest('/shop.Orders/List', send, receive, {}, metadata, (error, value) => {
            if (error === null) resolve(value);
            else reject(error);
          });
        });
      };
      expect(await list('sk-demo-1')).toEqual({ tenant: 'cust-A' });
      await expect(list('sk-no')).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED, details: 'unknown_key' });
      client.close();
    });
  });

  it('the first one in README runs as it is', async () => {
    const [code = ''] = samples('README.md', 'ts');
    const listen = 'app.listen(3000)';
    expect(code).toContain(listen);
    const anyPort =
      "app.listen(0, '127.0.0.1').on('listening', function () { console.log('port:', this.address().port); })";
    await withProcess([...tsx, '--input-type=module', '--eval', code.replace(listen, anyPort)], async (port) => {
      expect(await ask(port, '/orders', 'sk-1')).toEqual({ status: 200, body: { client: 'acme', tenant: 'cust-A' } });
      expect(await ask(port, '/orders')).toMatchObject({ status: 401, body: { reason: 'missing_key' } });
    });
  });

  it('are all driven here, and run.ts knows them', async () => {
    const files = readdirSync('examples').map((file) => file.replace('.ts', ''));
    const names = ['express', 'fastify', 'fetch', 'grpc', 'hono', 'koa', 'nest', 'node', 'ws'];
    expect(files.filter((file) => !['run', 'demo', 'fleet'].includes(file))).toEqual(names);
    const failed = promisify(execFile)(process.execPath, [...command, 'nothing'], { env });
    await expect(failed).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(names.join(', ')) as string,
    });
  });
});
