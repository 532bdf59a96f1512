import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, createServer } from 'node:net';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { startKeyServer, type KeyServer } from 'keyverify/testing';

import { Listener } from '../../src/testing/listener.js';
import { selfSigned } from '../helpers/authority.js';
import { ask, rawAsk, until } from './client.js';

const keys = { 'sk-1': { client: 'acme', tenant: 'cust-A' } };

async function refused(port: number): Promise<unknown> {
  const socket = connect(port, '127.0.0.1');
  return await new Promise((resolve) => {
    socket
      .once('connect', () => resolve('connected'))
      .once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  });
}

async function anyAnswer({ url }: Listener): Promise<void> {
  const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
    agent: false,
    rejectUnauthorized: false,
  });
  await once(request.end(), 'response');
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the listener', () => {
  it('stops, refuses connections, and comes back on its port with its keys', async () => {
    await using server = await startKeyServer({ keys });
    const { port } = server;
    expect(server.url).toBe(`http://127.0.0.1:${port}`);
    expect(server.verifyUrl).toBe(`http://127.0.0.1:${port}/internal/verify-key`);
    await server.stop();
    expect(await refused(port)).toBe('ECONNREFUSED');
    await server.start();
    expect(server.port).toBe(port);
    expect(JSON.parse((await ask(server, 'sk-1')).body)).toMatchObject({ valid: true });
    expect(server.counts.requests).toBe(1);
  });

  it('releases hanging requests and idle connections when it stops', async () => {
    const server = await startKeyServer({ keys });
    const idle = await rawAsk(server);
    await until(() => idle.text().includes('valid'));
    server.injectFault({ kind: 'hang' });
    const hanging = await rawAsk(server);
    await until(() => server.counts.inFlight === 1);
    expect(server.counts).toMatchObject({ connections: 2, openConnections: 2, maxInFlight: 1 });
    await server.close();
    await Promise.all([idle.ended, hanging.ended]);
    expect(hanging.text()).toBe('');
    expect(server.counts).toMatchObject({ connections: 2, openConnections: 0, inFlight: 0 });
  });

  it('drops its connections on demand, and goes on listening', async () => {
    await using server = await startKeyServer({ keys });
    const idle = await rawAsk(server);
    await until(() => idle.text().includes('valid'));
    server.injectFault({ kind: 'hang' }, { times: 1 });
    const hanging = await rawAsk(server);
    await until(() => server.counts.inFlight === 1);
    server.dropConnections();
    await Promise.all([idle.ended, hanging.ended]);
    expect(hanging.text()).toBe('');
    await until(() => server.counts.openConnections === 0);
    expect((await ask(server, 'sk-1')).status).toBe(200);
  });

  it('takes starts and stops in any number and in their order', async () => {
    const server = await startKeyServer({ keys });
    await Promise.all([server.stop(), server.stop(), server.start(), server.start()]);
    expect((await ask(server, 'sk-1')).status).toBe(200);
    await Promise.all([server.close(), server.start(), server.close()]);
    expect(await refused(server.port)).toBe('ECONNREFUSED');
  });

  it('says when its port is taken, and starts once it is free', async () => {
    const thief = createServer().listen(0, '127.0.0.1');
    await once(thief, 'listening');
    const address = thief.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(startKeyServer({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await using server = await startKeyServer({ keys });
    await server.stop();
    const other = createServer().listen(server.port, '127.0.0.1');
    await once(other, 'listening');
    await expect(server.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await once(other.close(), 'close');
    await server.start();
    expect((await ask(server, 'sk-1')).status).toBe(200);
    thief.close();
  });

  it.each([
    [{ keys }, 5],
    [{ keys, keepAliveTimeoutMs: 7_000 }, 7],
  ])('keeps idle connections as long as it is told: %o', async (options, seconds) => {
    await using server = await startKeyServer(options);
    const { headers } = await ask(server, 'sk-1');
    expect(headers['keep-alive']).toBe(`timeout=${seconds}`);
  });

  it('takes its time for every answer, side by side', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await using server = await startKeyServer({ keys, delayMs: 600_000 });
    const clients = await Promise.all([rawAsk(server), rawAsk(server), rawAsk(server)]);
    await until(() => vi.getTimerCount() === 3);
    expect(server.counts).toMatchObject({ inFlight: 3, maxInFlight: 3, valid: 3, faults: 0 });
    vi.advanceTimersByTime(599_999);
    expect(server.requests.map(({ status }) => status)).toEqual([undefined, undefined, undefined]);
    vi.advanceTimersByTime(1);
    await until(() => clients.every((client) => client.text().includes('"valid":true')));
  });

  it.each([
    ['HTTP', {}],
    ['HTTPS', { tls: selfSigned('key server') }],
  ])('lets go of what it resets in the middle of its end: %s', async (_, options) => {
    const listener = new Listener(options, ({ socket }) => {
      socket.end();
      listener.reset(socket);
    });
    await listener.start();
    await expect(anyAnswer(listener)).rejects.toThrow();
    await until(() => listener.counts.openConnections === 0);
    await listener.stop();
  });

  it('writes an IPv6 host in brackets', () => {
    expect(new Listener({ host: '::1', port: 8080 }, () => undefined).url).toBe('http://[::1]:8080');
  });
});

async function tlsAsk(server: KeyServer, tls: RequestOptions): Promise<number | undefined> {
  const headers = { 'x-service-token': 'service-token' };
  const request = httpsRequest(server.verifyUrl, { method: 'POST', agent: false, headers, ...tls });
  request.end('{"key":"sk-1"}');
  const [response] = (await once(request, 'response')) as [{ statusCode?: number; resume: () => void }];
  response.resume();
  return response.statusCode;
}

describe('TLS', () => {
  const own = selfSigned('key server');
  const client = selfSigned('client');

  it('serves HTTPS', async () => {
    await using server = await startKeyServer({ keys, tls: own });
    expect(server.url).toMatch(/^https:/);
    expect(await tlsAsk(server, { ca: own.cert })).toBe(200);
    await expect(tlsAsk(server, {})).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it('resets a TLS connection', async () => {
    await using server = await startKeyServer({ keys, tls: own });
    server.injectFault({ kind: 'reset-before-headers' });
    await expect(tlsAsk(server, { ca: own.cert })).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('demands the certificate of a known client', async () => {
    await using server = await startKeyServer({ keys, tls: { ...own, ca: client.cert, requestCert: true } });
    expect(await tlsAsk(server, { ca: own.cert, ...client })).toBe(200);
    await expect(tlsAsk(server, { ca: own.cert })).rejects.toThrow();
    await expect(tlsAsk(server, { ca: own.cert, ...selfSigned('stranger') })).rejects.toThrow();
    expect(server.counts.requests).toBe(1);
  });
});
