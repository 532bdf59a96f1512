import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type LineFault = 'cut' | 'black-hole' | 'slow';

const SLOW_MS = 120;

/** The line of one process to Redis. */
export class Line {
  fault: LineFault | undefined;
  readonly #port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.#port = port;
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #join(client: Socket): void {
    if (this.fault === 'cut') {
      client.destroy();
      return;
    }
    const redis = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#relay(client, redis);
    this.#relay(redis, client);
  }

  #relay(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    let turn = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      turn = turn.then(async () => {
        if (this.fault === 'slow') await sleep(SLOW_MS);
        if (this.fault !== 'black-hole' && to.writable) to.write(chunk);
      });
    });
    from.on('error', () => to.destroy());
    from.once('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
