import { createServer } from 'node:http';
import { connect } from 'node:net';

import type { Verified } from 'keyverify';
import { apiKeyAuth } from 'keyverify/ws';
import { type AdapterCall, type AdapterReply, adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { acme, saying } from '../guard/verifiers.js';
import { replyOf } from '../../src/testing/suites/adapter-client.js';

import { listen } from './listen.js';
import { testAdapter } from './suite.js';

/** A handshake: what the socket says first is the body, and a refusal is the reply that came instead. */
async function callWebSocket({ url, path, headers, signal }: AdapterCall): Promise<AdapterReply> {
  return await new Promise<AdapterReply>((resolve, reject) => {
    const names = [...new Set(headers.map(([name]) => name))];
    const values = (name: string): string[] => headers.filter((header) => header[0] === name).map(([, value]) => value);
    const all = Object.fromEntries(names.map((name) => [name, values(name)]));
    const socket = new WebSocket(url.replace('http', 'ws') + path, { headers: all });
    signal?.addEventListener('abort', () => socket.terminate());
    socket.once('error', reject);
    socket.once('unexpected-response', (_, response) => void replyOf(response).then(resolve, reject));
    socket.once('message', (message: Buffer) => {
      resolve({ status: 200, headers: {}, body: message.toString() });
      socket.terminate();
    });
  });
}

testAdapter(
  'ws',
  async (verifier, handler) => {
    const wss = new WebSocketServer({ noServer: true });
    const upgrades = Object.entries(adapterRoutes).map(
      ([path, options]) =>
        [
          path,
          apiKeyAuth(verifier, wss, (socket, _, identity) => socket.send(JSON.stringify(handler(identity))), options),
        ] as const,
    );
    const byPath = new Map(upgrades);
    const server = createServer();
    server.on('upgrade', (request, socket, head) => byPath.get(String(request.url))?.(request, socket, head));
    return await listen(server);
  },
  { call: callWebSocket, http: false },
);

describe('an upgrade', () => {
  it.each([{ port: 0 }, { server: createServer() }])('is refused to a server that opens sockets itself', (options) => {
    const wss = new WebSocketServer(options);
    expect(() => apiKeyAuth(saying(acme), wss, () => expect.unreachable())).toThrow(
      /wss: expected a server with noServer: true/,
    );
    wss.close();
  });

  it('keeps what a client sends before the decision', async () => {
    let decide = (): void => undefined;
    const decided = new Promise<Verified>((resolve) => {
      decide = () => resolve(acme);
    });
    const wss = new WebSocketServer({ noServer: true });
    const server = createServer();
    const heard = new Promise((resolve) => {
      const onConnection = (socket: WebSocket): void =>
        void socket.once('message', (data: Buffer) => resolve(data.toString()));
      const upgrade = apiKeyAuth({ verify: async () => await decided }, wss, onConnection);
      server.on('upgrade', (request, socket, head) => {
        upgrade(request, socket, head);
        // A masked frame with the text "hi", in a packet of its own.
        client.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]), () => {
          socket.once('readable', decide);
        });
      });
    });
    const { url, close } = await listen(server);
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write(
      'GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Api-Key: sk-1\r\n\r\n',
    );
    expect(await heard).toBe('hi');
    client.destroy();
    await close();
  });

  it('that breaks during the wait does not take the process with it', async () => {
    const verifier = { verify: async () => await new Promise<never>(() => undefined) };
    const upgrade = apiKeyAuth(verifier, new WebSocketServer({ noServer: true }), () => expect.unreachable());
    const server = createServer();
    const broken = new Promise((resolve) => {
      server.on('upgrade', (request, socket, head) => {
        upgrade(request, socket, head);
        socket.once('close', resolve);
        client.resetAndDestroy();
      });
    });
    const { url, close } = await listen(server);
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write(
      'GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-Api-Key: sk-1\r\n\r\n',
    );
    await broken;
    await close();
  });
});

describe('a WebSocket that was opened', () => {
  it('is closed for a frame that is none, and the process goes on', async () => {
    const server = createServer();
    const closed = new Promise((resolve) => {
      const wss = new WebSocketServer({ noServer: true });
      server.on(
        'upgrade',
        apiKeyAuth(saying(acme), wss, (socket) => socket.once('close', resolve)),
      );
    });
    const { url, close } = await listen(server);
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write(
      'GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Api-Key: sk-1\r\n\r\n',
    );
    // A frame of a kind that there is not.
    client.once('data', () => client.write(Buffer.from([0x8f, 0x80, 0, 0, 0, 0])));
    // Closed without a word of the client's.
    expect(await closed).toBe(1006);
    client.destroy();
    await close();
  });
});

describe('a key in a subprotocol', () => {
  const connect = async (protocols: string[]) => {
    const wss = new WebSocketServer({ noServer: true });
    const onConnection = (socket: WebSocket): void => socket.send('in');
    const options = { keySources: ['bearer', { subprotocol: 'key.' }] } as const;
    const upgrade = apiKeyAuth(saying(acme), wss, onConnection, options);
    const server = createServer().on('upgrade', (request, socket, head) => upgrade(request, socket, head));
    const { url, close } = await listen(server);
    const socket = new WebSocket(url.replace('http', 'ws'), protocols, { headers: { authorization: 'Basic x' } });
    const chosen = await new Promise((resolve, reject) => {
      socket.once('message', () => resolve(socket.protocol));
      socket.once('error', reject);
    });
    socket.terminate();
    await close();
    return chosen;
  };

  it('opens the socket, and is not what the server answers with', async () => {
    expect(await connect(['key.sk-1', 'v1', 'v2'])).toBe('v1');
  });

  it('needs another protocol beside it', async () => {
    await expect(connect(['key.sk-1'])).rejects.toThrow('Server sent no subprotocol');
  });
});
