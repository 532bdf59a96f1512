import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { runtimeTransport } from '../../src/transport/runtime/node.js';
import { coalescedLookup } from '../../src/transport/runtime/dns-lookup.js';
import { openConnections } from '../../src/transport/runtime/pool.js';
import { RenewedPool } from '../../src/transport/runtime/renewed-pool.js';
import type { Transport } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';
import { breathe, until } from '../helpers/rig.js';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

function pool(verifyUrl: string): Transport {
  const transport = runtimeTransport({ verifyUrl, timeoutMs: 2000, maxConcurrency: 64 });
  onTestFinished(async () => await transport.close?.());
  return transport;
}

const send = async (transport: Transport, url: string) => await transport.send(ask(url)).response;

describe('the pool', () => {
  test('never makes a request wait behind others', async () => {
    const server = await serve(() => undefined);
    const transport = pool(server.origin);
    await transport.warmUp?.();
    const exchanges = Array.from({ length: 200 }, () => transport.send(ask(server.origin)));
    for (const { response, isSent } of exchanges) {
      response.catch(() => undefined);
      expect(isSent?.()).toBe(true);
    }
    await until(() => server.heard.length === 200);
  });

  test('opens a connection for a request that is to have one of its own, and closes it afterwards', async () => {
    const server = await serve((response) => response.end('{}'));
    const transport = pool(server.origin);
    // The first one is sent before undici is loaded.
    for (const fresh of [true, undefined, true, false]) await transport.send(ask(server.origin), { fresh }).response;
    expect(server.connections).toBe(3);
    await until(() => server.open === 1);
  });

  test('keeps a connection for requests that ask for that, which no other one takes', async () => {
    const server = await serve((response) => response.end('{}'));
    const transport = pool(server.origin);
    await transport.warmUp?.();
    for (const reserved of [true, false, true, false]) await transport.send(ask(server.origin), { reserved }).response;
    expect(server.connections).toBe(2);
    expect(server.open).toBe(2);
    await transport.close?.();
    await until(() => server.open === 0);
  });

  test('closes that connection when it is closed itself', async () => {
    const server = await serve(() => undefined);
    const transport = pool(server.origin);
    await transport.warmUp?.();
    const { response } = transport.send(ask(server.origin), { fresh: true });
    const rejection = expect(response).rejects.toMatchObject({ kind: 'misconfigured' });
    await until(() => server.heard.length === 1);
    await transport.close?.();
    await rejection;
    await until(() => server.open === 0);
  });

  test('keeps connections for the next request, but none for longer than it lives', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const server = await serve((response) => response.setHeader('keep-alive', 'timeout=300').end('{}'));
    const transport = pool(server.origin);
    const next = async () => {
      await send(transport, server.origin);
      await breathe();
      return server.connections;
    };
    expect([await next(), await next()]).toEqual([1, 1]);
    vi.advanceTimersByTime(59_000);
    expect(await next()).toBe(1);
    vi.advanceTimersByTime(2000);
    expect(await next()).toBe(2);
  });

  test('lets those requests in flight end on connections that have got old, unless it is closed', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const answers: (() => void)[] = [];
    const server = await serve((response) => answers.push(() => response.end('{}')));
    const transport = pool(server.origin);
    await transport.warmUp?.();
    const [first, second] = [transport.send(ask(server.origin)), transport.send(ask(server.origin))];
    await until(() => server.heard.length === 2);
    vi.advanceTimersByTime(61_000);
    const third = transport.send(ask(server.origin));
    await until(() => server.heard.length === 3);
    expect(server.connections).toBe(3);
    answers[0]?.();
    expect(await first.response).toMatchObject({ status: 200 });
    const rejections = [second, third].map(({ response }) =>
      expect(response).rejects.toMatchObject({ kind: 'misconfigured' }),
    );
    await transport.close?.();
    await Promise.all(rejections);
    await until(() => server.cutOff === 2);
  });

  test('closes the connections that have got old', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const server = await serve((response) => response.end('{}'));
    const transport = pool(server.origin);
    for (let i = 0; i < 3; i++) {
      await Promise.all([send(transport, server.origin), send(transport, server.origin)]);
      vi.advanceTimersByTime(61_000);
    }
    await send(transport, server.origin);
    await until(() => server.open === 1);
    expect(server.connections).toBe(7);
  });

  test('is renewed once it has lived for its time, and not before', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const opened: number[] = [];
    const pool = new RenewedPool(() => {
      opened.push(performance.now());
      return {
        dispatch: () => true,
        close: async () => await Promise.resolve(),
        destroy: async () => await Promise.resolve(),
      };
    }, 100);
    for (const ms of [0, 100, 1, 0, 100, 1]) {
      vi.advanceTimersByTime(ms);
      expect(pool.current).toHaveProperty('dispatch');
    }
    expect(opened).toEqual([0, 101, 202]);
  });

  test('opens no connection once it is closed', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const server = await serve((response) => response.end('{}'));
    const transport = pool(server.origin);
    await send(transport, server.origin);
    await transport.close?.();
    vi.advanceTimersByTime(61_000);
    await expect(send(transport, server.origin)).rejects.toMatchObject({ kind: 'misconfigured' });
    expect(server.connections).toBe(1);
  });

  test("is not told by the server's hint to keep an idle connection past any NAT", async () => {
    const { Pool } = await import('undici');
    const seen: unknown[] = [];
    class Spy extends Pool {
      constructor(...options: ConstructorParameters<typeof Pool>) {
        super(...options);
        seen.push(...options);
      }
    }
    const { EnvHttpProxyAgent } = await import('undici');
    const { destroy, fresh } = openConnections(
      { Pool: Spy, EnvHttpProxyAgent },
      { verifyUrl: 'http://x.test/v', timeoutMs: 7, maxConcurrency: 3 },
    );
    await Promise.all([destroy(), fresh().destroy()]);
    const bounds = { keepAliveTimeout: 4000, keepAliveMaxTimeout: 4000, allowH2: false, pipelining: 1 };
    expect(seen).toMatchObject([
      'http://x.test',
      { ...bounds, connect: { timeout: 7 }, connections: 3 },
      'http://x.test',
      { ...bounds, connect: { timeout: 7 }, connections: 1 },
      'http://x.test',
      { ...bounds, connect: { timeout: 7 } },
    ]);
    expect(seen[5]).not.toHaveProperty('connections');
  });

  test('has a connection for each request, also beyond the limit, and no more than the limit while that will do', async () => {
    const server = await serve((response) => setTimeout(() => response.end('{}'), 20));
    const transport = runtimeTransport({ verifyUrl: server.origin, timeoutMs: 2000, maxConcurrency: 2 });
    onTestFinished(async () => await transport.close?.());
    const send = async (count: number): Promise<void> => {
      const exchanges = Array.from({ length: count }, () => transport.send(ask(server.origin)));
      await until(() => exchanges.every(({ isSent }) => isSent?.() === true));
      await Promise.all(exchanges.map(async ({ response }) => await response));
    };
    await transport.warmUp?.();
    for (let i = 0; i < 5; i++) await send(2);
    expect(server.connections).toBe(2);
    await send(5);
    expect(server.connections).toBe(5);
  });

  test('makes no request wait for the rest of a body that does not matter', async () => {
    const server = await serve((response) => {
      if (server.heard.length > 1) return void response.end('{}');
      response.writeHead(500);
      response.write('and so on');
    });
    const transport = runtimeTransport({ verifyUrl: server.origin, timeoutMs: 2000, maxConcurrency: 1 });
    onTestFinished(async () => await transport.close?.());
    await transport.warmUp?.();
    const endless = transport.send(ask(server.origin));
    await until(() => server.heard.length === 1);
    const outcomes: number[] = [];
    const record = async ({ response }: typeof endless) => outcomes.push((await response).status);
    // While the first one has the only connection of the limit, and after it was cut off.
    await Promise.all([record(endless), record(transport.send(ask(server.origin)))]);
    await record(transport.send(ask(server.origin)));
    expect(outcomes).toEqual([200, 500, 200]);
    await until(() => server.cutOff === 1);
  });

  test('ends what is in flight when it is closed, and may be closed again or unused', async () => {
    const server = await serve(() => undefined);
    const transport = pool(server.origin);
    await transport.close?.();
    const { response } = transport.send(ask(server.origin));
    const rejection = expect(response).rejects.toMatchObject({ kind: 'misconfigured' });
    await until(() => server.heard.length === 1);
    await transport.close?.();
    await rejection;
    await transport.close?.();
    await until(() => server.cutOff === 1);
  });
});

describe('a lookup', () => {
  test('of a name is made once for all that wait for it, and anew afterwards', () => {
    const made: ((error: Error | null) => void)[] = [];
    const lookups: unknown[] = [];
    const lookup = coalescedLookup(
      Object.assign(
        (hostname: string, options: object, callback: (error: Error | null) => void) => {
          lookups.push([hostname, options]);
          made.push(callback);
        },
        { __promisify__: () => expect.fail('unused') },
      ) as unknown as Parameters<typeof coalescedLookup>[0],
    );
    const tell = vi.fn();
    lookup('keys.test', { all: true }, tell);
    lookup('keys.test', { all: true }, tell);
    lookup('other.test', { all: true }, tell);
    lookup('keys.test', { all: true, family: 4 }, tell);
    expect(lookups).toHaveLength(3);
    const error = new Error('none');
    made[0]?.(error);
    expect(tell.mock.calls).toEqual([[error], [error]]);
    lookup('keys.test', { all: true }, tell);
    expect(lookups).toHaveLength(4);
  });

  test('finds the key server by its name', async () => {
    const server = await serve((response) => response.end('{}'));
    const url = server.origin.replace('127.0.0.1', 'localhost');
    expect(await send(pool(url), url)).toMatchObject({ status: 200 });
  });

  test('of a name that does not exist is an outage', async () => {
    const url = 'http://keys.invalid/';
    await expect(send(pool(url), url)).rejects.toMatchObject({ kind: 'unreachable', unconnected: true });
  });
});

describe('a proxy of the environment', () => {
  /** Answers CONNECT by this status; 200 opens a tunnel to the port, whatever the name. */
  async function proxy(status: number) {
    const asked: (string | undefined)[] = [];
    const server = createServer().on('connect', (request, socket) => {
      asked.push(request.url);
      socket.on('error', () => undefined);
      socket.write(`HTTP/1.1 ${status} Answer\r\n\r\n`);
      if (status !== 200) return void socket.end();
      const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1').on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    return { asked, url: `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : undefined)}` };
  }

  test.each(['http_proxy', 'HTTP_PROXY'])('is used: %s', async (name) => {
    const { asked, url } = await proxy(200);
    vi.stubEnv(name, url);
    const server = await serve((response) => response.end('{}'));
    const verifyUrl = server.origin.replace('127.0.0.1', 'keys.invalid');
    const transport = pool(verifyUrl);
    const exchange = transport.send(ask(verifyUrl));
    expect(await exchange.response).toMatchObject({ status: 200 });
    expect(exchange.isSent?.()).toBe(true);
    // It is also used by requests with a connection of their own.
    for (const options of [{ fresh: true }, { reserved: true }])
      expect(await transport.send(ask(verifyUrl), options).response).toMatchObject({ status: 200 });
    const host = verifyUrl.replace('http://', '');
    expect([asked, server.connections]).toEqual([[host, host, host], 3]);
  });

  test.each([
    ['https:', 'https_proxy', true],
    ['https:', 'HTTPS_PROXY', true],
    ['https:', 'http_proxy', true],
    ['https:', 'HTTP_PROXY', true],
    ['http:', 'http_proxy', true],
    ['http:', 'HTTP_PROXY', true],
    ['http:', 'https_proxy', false],
    ['http:', 'HTTPS_PROXY', false],
  ])('is looked for, for %s in %s: %s', async (protocol, name, isUsed) => {
    const { EnvHttpProxyAgent, Pool } = await import('undici');
    vi.stubEnv(name, 'http://proxy.invalid');
    const options = { verifyUrl: `${protocol}//keys.invalid/`, timeoutMs: 2000, maxConcurrency: 1 };
    const { fresh, destroy } = openConnections({ EnvHttpProxyAgent, Pool }, options);
    const opened = fresh();
    expect(opened instanceof EnvHttpProxyAgent).toBe(isUsed);
    await Promise.all([opened.destroy(), destroy()]);
  });

  test.each([502, 503, 504])('that answers %i cannot reach the key server', async (status) => {
    vi.stubEnv('HTTPS_PROXY', (await proxy(status)).url);
    const url = 'https://keys.invalid/';
    await expect(send(pool(url), url)).rejects.toMatchObject({ kind: 'unreachable', unconnected: false });
  });

  test.each([
    ['when it is asked', 'connect'],
    ['at once', 'connection'],
  ])('that hangs up %s is asked once for each request', async (_when, event) => {
    let asked = 0;
    const server = createServer().on(event, (first: Duplex | { readonly socket: Duplex }) => {
      asked++;
      ('socket' in first ? first.socket : first).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${port}`);
    const url = 'https://keys.invalid/';
    await expect(send(pool(url), url)).rejects.toMatchObject({
      kind: 'unreachable',
      unconnected: false,
      cause: { message: 'the proxy closed the connection' },
    });
    expect(asked).toBe(1);
  });

  test('that is not there is an outage', async () => {
    // A port of a server that has gone.
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${port}`);
    const url = 'https://keys.invalid/';
    await expect(send(pool(url), url)).rejects.toMatchObject({ kind: 'unreachable', unconnected: true });
  });

  test.each([407, 403, 429, 500])('that answers %i is no outage', async (status) => {
    vi.stubEnv('HTTPS_PROXY', (await proxy(status)).url);
    const url = 'https://keys.invalid/';
    await expect(send(pool(url), url)).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('a proxy refused the connection') as string,
    });
  });

  test('is not used where NO_PROXY says so, for another protocol, or for this machine', async () => {
    const { asked, url } = await proxy(502);
    vi.stubEnv('HTTPS_PROXY', url);
    await expect(send(pool('http://keys.invalid/'), 'http://keys.invalid/')).rejects.toMatchObject({
      unconnected: true,
    });
    vi.stubEnv('http_proxy', url);
    const server = await serve((response) => response.end('{}'));
    expect(await send(pool(server.origin), server.origin)).toMatchObject({ status: 200 });
    vi.stubEnv('NO_PROXY', 'keys.invalid');
    await expect(send(pool('http://keys.invalid/'), 'http://keys.invalid/')).rejects.toMatchObject({
      unconnected: true,
    });
    expect(asked).toEqual([]);
  });
});
