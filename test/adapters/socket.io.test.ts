import { createServer } from 'node:http';

import type { Verified } from 'keyverify';
import { apiKeyAuth } from 'keyverify/socket.io';
import { type AdapterCall, type AdapterReply, adapterRoutes } from 'keyverify/testing';
import { Server } from 'socket.io';
import { io as connect, Manager, type ManagerOptions, type SocketOptions } from 'socket.io-client';
import { describe, expect, it } from 'vitest';

import { acme, rejected, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

const quiet = { reconnection: false, forceNew: true, transports: ['websocket'] } satisfies Partial<ManagerOptions>;

/** A socket on a namespace: what the server emits first is the body, and the data of a refusal are, too. */
async function callSocket({ url, path, headers, signal }: AdapterCall): Promise<AdapterReply> {
  const names = [...new Set(headers.map(([name]) => name))];
  const values = (name: string) => headers.filter((header) => header[0] === name).map(([, value]) => value);
  const extraHeaders = Object.fromEntries(names.map((name) => [name, values(name)])) as unknown as Record<
    string,
    string
  >;
  const socket = connect(url + path, { ...quiet, extraHeaders });
  try {
    return await new Promise<AdapterReply>((resolve, reject) => {
      signal?.addEventListener('abort', () => {
        socket.disconnect();
        reject(new Error('left'));
      });
      socket.once('hello', (body: unknown) => resolve({ status: 200, headers: {}, body: JSON.stringify(body) }));
      socket.once('connect_error', (error: Error & { data?: Record<string, unknown> }) => {
        const { data: { status, requestId } = {}, message } = error;
        const challenges: Record<string, string> = {
          '400': ', error="invalid_request"',
          '401': message === 'missing_key' ? '' : ', error="invalid_token"',
          '403': ', error="insufficient_scope"',
        };
        const challenge = message === 'not_allowed' ? undefined : challenges[String(status)];
        const denial = { reason: message, requestId };
        resolve({
          status: Number(status ?? 404),
          headers: {
            'x-request-id': requestId,
            'retry-after': status === 503 ? '5' : undefined,
            'www-authenticate': challenge === undefined ? undefined : `Bearer realm="api"${challenge}`,
          },
          body: JSON.stringify(denial),
        });
      });
    });
  } finally {
    socket.disconnect();
  }
}

async function serve(io: Server, server: ReturnType<typeof createServer>) {
  const { url } = await listen(server);
  return { url, close: async () => await io.close() };
}

testAdapter(
  'Socket.IO',
  async (verifier, handler) => {
    const server = createServer();
    const io = new Server(server);
    for (const [path, options] of Object.entries(adapterRoutes)) {
      const auth = apiKeyAuth(verifier, options);
      io.of(path)
        .use(auth)
        .on('connection', (socket) => socket.emit('hello', handler(auth.identityOf(socket))));
    }
    return await serve(io, server);
  },
  { call: callSocket, http: false },
);

describe('a handshake of Socket.IO', () => {
  const connecting = async (options: Partial<ManagerOptions & SocketOptions>, key = 'sk-1') => {
    const server = createServer();
    const io = new Server(server);
    const verifier = saying(acme);
    const auth = apiKeyAuth(verifier);
    io.use(auth).on('connection', (socket) => socket.emit('hello', auth.identityOf(socket).client));
    const { url, close } = await serve(io, server);
    const socket = connect(url, { ...quiet, ...options });
    const told = await new Promise<string>((resolve) => {
      socket.once('hello', resolve);
      socket.once('connect_error', ({ message }) => resolve(message));
    });
    socket.disconnect();
    await close();
    if (told === 'acme') expect(verifier.asked).toMatchObject([{ key }]);
    return told;
  };

  it('may carry the key as auth.token, as browsers can', async () => {
    expect(await connecting({ auth: { token: 'sk-1' } })).toBe('acme');
    expect(await connecting({ auth: { token: 1 } })).toBe('missing_key');
  });

  it('may not carry two', async () => {
    expect(await connecting({ auth: { token: 'sk-1' }, extraHeaders: { 'x-api-key': 'sk-2' } })).toBe('ambiguous_key');
    expect(await connecting({ auth: { token: 'sk-1' }, extraHeaders: { authorization: 'Bearer sk-2' } })).toBe(
      'ambiguous_key',
    );
  });

  it('may carry credentials for somebody else beside it', async () => {
    expect(await connecting({ auth: { token: 'sk-1' }, extraHeaders: { authorization: 'Basic eDp5' } })).toBe('acme');
    expect(
      await connecting({ auth: { token: 'sk-1' }, extraHeaders: { authorization: 'Basic eDp5, Bearer sk-2' } }),
    ).toBe('ambiguous_key');
  });

  it('of which a connection sends many is listened to once', async () => {
    const server = createServer();
    const io = new Server(server);
    let decide = (): void => undefined;
    const decided = new Promise<Verified>((resolve) => {
      decide = () => resolve(acme);
    });
    const auth = apiKeyAuth({ verify: async () => await decided });
    const listeners: number[] = [];
    // A connection has one socket for each namespace at a time, so there are many of those.
    io.of(/^\/n\d+$/).use((socket, next) => {
      auth(socket, next);
      if (listeners.push(socket.conn.listenerCount('close')) === 30) decide();
    });
    const { url, close } = await serve(io, server);
    const manager = new Manager(url, quiet);
    const sockets = Array.from({ length: 30 }, (_, at) => manager.socket(`/n${at}`, { auth: { token: `sk-${at}` } }));
    await Promise.all(
      sockets.map(async (socket) => {
        await new Promise<void>((resolve) => socket.connect().once('connect', resolve));
      }),
    );
    for (const socket of sockets) socket.disconnect();
    await close();
    expect(new Set(listeners).size).toBe(1);
  });

  /** Connects, loses the connection, and tells what the server knows of the caller who comes back. */
  const returning = async (recovery: object, verifier: Parameters<typeof apiKeyAuth>[0]) => {
    const server = createServer();
    const io = new Server(server, { connectionStateRecovery: recovery });
    const auth = apiKeyAuth(verifier);
    const told: unknown[] = [];
    io.use(auth).on('connection', (socket) => {
      try {
        told.push([socket.recovered, (auth.identityOf(socket) as Verified).client]);
      } catch (error) {
        told.push([socket.recovered, (error as Error).message]);
      }
      // The client can only recover what it has been sent.
      socket.emit('hello');
    });
    const { url, close } = await serve(io, server);
    const socket = connect(url, { ...quiet, reconnection: true, reconnectionDelay: 10, auth: { token: 'sk-1' } });
    await new Promise((resolve) => socket.once('hello', resolve));
    socket.io.engine.close();
    told.push(
      await new Promise((resolve) => {
        socket.once('connect', () => resolve('connected'));
        socket.once('connect_error', ({ message }) => resolve(message));
      }),
    );
    socket.disconnect();
    await close();
    return told;
  };

  it('is verified again where a connection is recovered with its middleware', async () => {
    const answers = [acme, rejected('revoked')];
    const verify = async () => await Promise.resolve(answers.shift() ?? acme);
    expect(await returning({ skipMiddlewares: false }, saying(acme))).toEqual([
      [false, 'acme'],
      [true, 'acme'],
      'connected',
    ]);
    expect(await returning({ skipMiddlewares: false }, { verify })).toEqual([[false, 'acme'], 'revoked']);
  });

  it('knows nobody where a connection is recovered without', async () => {
    expect(await returning({}, saying(acme))).toEqual([
      [false, 'acme'],
      [true, expect.stringContaining('keyverify: this guard has not admitted this request: ')],
      'connected',
    ]);
  });

  it('is verified for each namespace of a connection by itself', async () => {
    const server = createServer();
    const io = new Server(server);
    const [everybody, admins] = [apiKeyAuth(saying(acme)), apiKeyAuth(saying(acme), { authorize: () => false })];
    io.use(everybody);
    io.of('/admin').use(admins);
    const { url, close } = await serve(io, server);
    const socket = connect(url, { ...quiet, auth: { token: 'sk-1' } });
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    const admin = socket.io.socket('/admin', { auth: { token: 'sk-1' } });
    const told = await new Promise((resolve) => {
      admin.once('connect_error', ({ message }) => resolve(message));
      admin.once('connect', () => resolve('connected'));
      admin.connect();
    });
    expect([told, socket.connected]).toEqual(['not_allowed', true]);
    socket.disconnect();
    await close();
  });

  it('knows nobody of a socket that the middleware has not admitted', () => {
    expect(() => apiKeyAuth(saying(acme)).identityOf({ data: { identity: acme } })).toThrow(
      /this guard has not admitted/,
    );
  });
});
