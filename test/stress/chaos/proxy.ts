import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What the network does to whatever passes. */
export type NetworkFault =
  | { readonly kind: 'refuse' | 'cut' | 'black-hole' | 'corrupt' }
  | { readonly kind: 'delay' | 'drip'; readonly ms: number };

/** No text has this byte. A changed letter in plain HTTP would be another answer, which nobody could tell. */
const GARBAGE = 0xff;

const sleep = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));

/** Node never closes a socket that it is told to reset while it ends it, and spins for ever when the process is to end. */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** A loopback proxy below HTTP. Faults apply to what passes while they last; what a black hole swallowed is gone. */
export class Proxy {
  fault: NetworkFault | undefined;
  readonly #upstreams: readonly number[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #next = 0;

  constructor(upstreams: readonly number[]) {
    this.#upstreams = upstreams;
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket): void {
    const port = this.#upstreams[this.#next++ % this.#upstreams.length];
    if (this.fault?.kind === 'refuse' || port === undefined) {
      reset(client);
      return;
    }
    const server = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      let turn = Promise.resolve();
      socket.on('data', (chunk: Buffer) => {
        turn = turn.then(async () => await this.#pass(chunk, other, socket === server));
      });
      socket.once('end', () => void turn.then(() => other.end()));
      socket.once('error', () => reset(other));
      socket.once('close', () => {
        this.#sockets.delete(socket);
        void turn.then(() => other.destroy());
      });
    }
  }

  async #pass(chunk: Buffer, to: Socket, isAnswer: boolean): Promise<void> {
    const { fault } = this;
    if (to.destroyed || fault?.kind === 'black-hole') return;
    if (fault?.kind === 'delay') await sleep(fault.ms);
    if (fault === undefined || fault.kind === 'delay' || !isAnswer) {
      to.write(chunk);
    } else if (fault.kind === 'drip') {
      for (let i = 0; i < chunk.length && to.writable; i++) {
        to.write(chunk.subarray(i, i + 1));
        await sleep(fault.ms);
      }
    } else if (fault.kind === 'corrupt') {
      const broken = Buffer.from(chunk);
      broken[Math.floor(Math.random() * broken.length)] = GARBAGE;
      to.write(broken);
    } else {
      to.write(chunk.subarray(0, chunk.length / 2), () => reset(to));
    }
  }
}
