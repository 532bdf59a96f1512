import { ok as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as it arrived. */
interface ReceivedRequest {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server on 127.0.0.1 that answers as a case needs it. */
export interface Loopback {
  readonly origin: string;
  readonly received: readonly ReceivedRequest[];
  /** How many responses were cut off by the client. */
  readonly cutOff: number;
  close(): Promise<void>;
}

/** For what goes wrong on purpose. */
export const ignore = (): void => undefined;

async function listen(server: Server): Promise<{ origin: string; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', ignore).once('close', () => sockets.delete(socket)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** An HTTP server. */
export async function loopback(
  answer: (response: ServerResponse, request: IncomingMessage) => unknown,
): Promise<Loopback> {
  const received: ReceivedRequest[] = [];
  let cutOff = 0;
  const listener: RequestListener = (request, response) => {
    response.once('close', () => (cutOff += response.writableFinished ? 0 : 1));
    const arrived = (body: string): unknown => {
      received.push({ method: request.method, path: request.url, headers: request.headers, body });
      return answer(response, request);
    };
    text(request).then(arrived, ignore);
  };
  return {
    ...(await listen(createServer(listener))),
    received,
    get cutOff() {
      return cutOff;
    },
  };
}

/** A server that does to each connection, as soon as something arrives on it, what HTTP does not provide for. */
export async function rawLoopback(answer: (socket: Socket) => unknown): Promise<Pick<Loopback, 'origin' | 'close'>> {
  return await listen(createTcpServer((socket) => socket.once('data', () => answer(socket))));
}
