import { ok as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';

/** Where and how the key server listens. */
export interface ListenerOptions {
  /** Default: 0, which takes a free port and keeps it when the server comes back. */
  readonly port?: number;
  /** Default: `'127.0.0.1'`. */
  readonly host?: string;
  /** How long an idle connection is kept open. Default: 5 000. */
  readonly keepAliveTimeoutMs?: number;
  /** Serves HTTPS. With `requestCert`, clients must show a certificate that `ca` signed. */
  readonly tls?: Pick<TlsOptions, 'key' | 'cert' | 'ca' | 'requestCert'>;
}

/** An HTTP server that can go away, its connections with it, and come back on the same port. */
export class Listener {
  readonly #origin: string;
  readonly #host: string;
  readonly #server;
  readonly #sockets = new Set<Socket>();
  #port: number;
  #connections = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ListenerOptions, receive: RequestListener) {
    const { port = 0, host = '127.0.0.1', keepAliveTimeoutMs = 5_000, tls } = options;
    this.#origin = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}`;
    this.#host = host;
    this.#port = port;
    const http = { keepAliveTimeout: keepAliveTimeoutMs };
    this.#server = tls === undefined ? createServer(http, receive) : createTlsServer({ ...http, ...tls }, receive);
    this.#server.on('connection', (socket: Socket) => {
      this.#connections++;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#origin}:${this.#port}`;
  }

  get counts(): { readonly connections: number; readonly openConnections: number } {
    return { connections: this.#connections, openConnections: this.#sockets.size };
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#server.listening) return;
      this.#server.listen(this.#port, this.#host);
      await once(this.#server, 'listening');
      const address = this.#server.address();
      assert(typeof address === 'object' && address !== null);
      this.#port = address.port;
    });
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#server.listening) return;
      const closed = once(this.#server, 'close');
      this.#server.close();
      for (const socket of this.#sockets) socket.destroy();
      await closed;
    });
  }

  /** From the TCP socket: where TLS lies on top, a request knows only the TLS socket, and that one can't be reset. */
  reset({ remoteAddress, remotePort, writableEnded, writableFinished }: Socket): void {
    // Nor can one that is just being ended: Node would never close it, and spin for ever when the process is to end.
    const how = writableEnded && !writableFinished ? 'destroy' : 'resetAndDestroy';
    for (const socket of this.#sockets) {
      if (socket.remotePort === remotePort && socket.remoteAddress === remoteAddress) socket[how]();
    }
  }

  /** One at a time: a stop at the heels of a start would find nothing that listens. */
  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
