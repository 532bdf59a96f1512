import { ok as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';

/** Where and how the key server listens. */
export interface ListenerOptions {
  /** The port. Default: 0, a free port, which is kept when the server is started again. */
  readonly port?: number | undefined;
  /** The address to listen on. Default: `'127.0.0.1'`. */
  readonly host?: string | undefined;
  /** How long an idle connection is kept open, in milliseconds. Default: 5 000. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Serves HTTPS; with `requestCert`, clients must show a certificate that `ca` signed. Default: HTTP. */
  readonly tls?: Pick<TlsOptions, 'key' | 'cert' | 'ca' | 'requestCert'> | undefined;
}

/** An HTTP server that can be stopped with all its connections, and started again on the same port. */
export class Listener {
  readonly #origin: string;
  readonly #host: string;
  readonly #server;
  readonly #sockets = new Set<Socket>();
  #port: number;
  #connections = 0;
  #lastStep: Promise<void> = Promise.resolve();

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
    return this.#queue(async () => {
      if (this.#server.listening) return;
      this.#server.listen(this.#port, this.#host);
      await once(this.#server, 'listening');
      const address = this.#server.address();
      assert(typeof address === 'object' && address !== null);
      this.#port = address.port;
    });
  }

  stop(): Promise<void> {
    return this.#queue(async () => {
      if (!this.#server.listening) return;
      const closed = once(this.#server, 'close');
      this.#server.close();
      this.dropConnections();
      await closed;
    });
  }

  /** Resets the TCP socket under this one: with TLS, a request knows only the TLS socket, which can't be reset. */
  reset({ remoteAddress, remotePort, writableEnded, writableFinished }: Socket): void {
    // A socket that is being ended can't be reset either: Node would never close it, and never exit.
    const how = writableEnded && !writableFinished ? 'destroy' : 'resetAndDestroy';
    for (const socket of this.#sockets) {
      if (socket.remotePort === remotePort && socket.remoteAddress === remoteAddress) socket[how]();
    }
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** One at a time: a stop right after a start would find no listening server. */
  #queue(step: () => Promise<void>): Promise<void> {
    const done = this.#lastStep.then(step);
    this.#lastStep = done.catch(() => undefined);
    return done;
  }
}
