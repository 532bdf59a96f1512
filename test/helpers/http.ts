import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

import { onTestFinished } from 'vitest';

import type { WireRequest } from '../../src/transport/transport.js';

interface Heard {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A plain HTTP server on a real socket, that does to each request what the test says. */
export async function serve(answer: (response: ServerResponse, request: IncomingMessage) => unknown) {
  const heard: Heard[] = [];
  let connections = 0;
  let open = 0;
  let cutOff = 0;
  const listener: RequestListener = (request, response) => {
    void text(request).then((body) => {
      heard.push({ method: request.method, path: request.url, headers: request.headers, body });
      response.once('close', () => (cutOff += response.writableFinished ? 0 : 1));
      answer(response, request);
    });
  };
  const server = createServer(listener);
  server.on('connection', (socket) => {
    connections++;
    open++;
    socket.once('close', () => open--);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    origin: `http://127.0.0.1:${String(port)}`,
    heard,
    get connections() {
      return connections;
    },
    /** How many connections are open. */
    get open() {
      return open;
    },
    /** How many answers had their connection closed before their end. */
    get cutOff() {
      return cutOff;
    },
  };
}

export function ask(url: string): WireRequest {
  const headers = { 'content-type': 'application/json', 'x-service-token': 'token-1' };
  return { url, method: 'POST', headers, body: '{"key":"sk-1"}', needsBody: (status) => status === 200 };
}
