import { once } from 'node:events';
import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTls, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** What a request meets in place of its answer. A function decides by itself when, and whether, to send the answer. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly slowMs: number }
  | 'reset'
  | 'close'
  | 'hang'
  | 'truncate'
  | ((answer: () => void, response: ServerResponse) => void);

interface Verdict {
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Asked {
  readonly key: string;
  readonly at: number;
  readonly headers: IncomingMessage['headers'];
}

export const GOOD_PREFIX = 'sk-good-';
const ACME = { valid: true, client: 'acme', tenant: 'cust-A', key_id: 'k-1' };

/**
 * A key server that sees the keys themselves, so that a test can make it fail for some of them. Keys that begin with
 * `sk-good-` are good, all others are unknown, unless `verdicts` says otherwise.
 */
export class LabServer {
  fault: (key: string) => Fault | undefined = () => undefined;
  /** Sent with every verdict. */
  headers: Readonly<Record<string, string>> = {};
  readonly verdicts = new Map<string, Verdict>();
  readonly asked: Asked[] = [];
  /** How many requests wait for the end of their answer. */
  busy = 0;
  readonly #server: Server;
  readonly #scheme: string;
  readonly #sockets = new Set<Socket>();
  /** Connections that a balancer leads to a backend which does this to all questions. */
  readonly #bad = new WeakMap<Socket, Fault>();
  #port = 0;

  constructor(tls?: ServerOptions) {
    const receive = (request: IncomingMessage, response: ServerResponse): void => void this.#receive(request, response);
    this.#server = tls === undefined ? createPlain(receive) : createTls(tls, receive);
    // Idle connections are the client's to end, so that no request meets one that is just being closed.
    this.#server.keepAliveTimeout = 0;
    this.#server.on('tlsClientError', () => undefined);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}/internal/verify-key`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Listens, on the same port as before if there was one. */
  async start(port = this.#port): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.disconnect();
    await closed;
  }

  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The backend that the open connections lead to goes bad; new ones lead to another. */
  loseBackend(fault: Fault): void {
    for (const socket of this.#sockets) this.#bad.set(socket, fault);
  }

  revoke(key: string, headers: Readonly<Record<string, string>> = {}): void {
    this.verdicts.set(key, { body: { valid: false, reason: 'revoked' }, headers });
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A witness asks for nothing but an answer, which no fault spoils.
    if (request.method === 'GET') {
      response.end();
      return;
    }
    this.busy++;
    response.once('close', () => this.busy--);
    const body = await text(request).catch(() => undefined);
    if (body === undefined) return;
    // A redirect that is followed may come without a body.
    const { key } = JSON.parse(body === '' ? '{"key":""}' : body) as { key: string };
    this.asked.push({ key, at: performance.now(), headers: request.headers });
    // What is true is what was true when the question came in.
    const verdict = this.#verdict(key);
    const json = JSON.stringify(verdict.body);
    const headers = { 'content-type': 'application/json', ...this.headers, ...verdict.headers };
    const answer = (): void => void response.writeHead(200, headers).end(json);
    const fault = this.#bad.get(request.socket) ?? this.fault(key);
    if (fault === undefined) answer();
    else if (typeof fault === 'function') fault(answer, response);
    else if (fault === 'reset') request.socket.resetAndDestroy();
    else if (fault === 'close') request.socket.destroy();
    else if (fault === 'truncate') {
      response.writeHead(200, { ...headers, 'content-length': String(json.length) });
      response.write(json.slice(0, json.length / 2), () => request.socket.destroy());
    } else if (fault === 'hang') {
      // The connection stays open until the client leaves or the server stops.
    } else if ('slowMs' in fault) {
      const timer = setTimeout(answer, fault.slowMs);
      response.once('close', () => clearTimeout(timer));
    } else {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end('{}');
    }
  }

  #verdict(key: string): Verdict {
    const good = key.startsWith(GOOD_PREFIX) ? ACME : { valid: false, reason: 'unknown_key' };
    return this.verdicts.get(key) ?? { body: good };
  }
}
