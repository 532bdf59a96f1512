import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { Firewall, type Treatment } from './firewall.js';
import { CONTROL_PREFIX } from './wire.js';

/** An outage for everybody: refused, reset, swallowed, answered 503. */
export type Outage = 'gone' | 'reset' | 'black-hole' | 'unavailable';

/** What the network does to everything that passes. */
export type NetworkFault =
  | { readonly kind: 'refuse' | 'cut' | 'black-hole' | 'corrupt' }
  | { readonly kind: 'delay' | 'drip'; readonly ms: number };

/** A control question of the library that arrived here. */
export interface Control {
  readonly at: number;
}

/** No text has this byte. A changed letter in plain HTTP would be another answer, which nobody could tell. */
const GARBAGE = 0xff;
const QUESTION = /\r\n\r\n\{"key":"([^"]*)"[^{}]*\}$/;

const sleep = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));

/** Node never closes a socket that it is told to reset while it ends it, and spins for ever when the process is to end. */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

function answer(client: Socket, status: number, retryAfter?: number): void {
  const header = retryAfter === undefined ? '' : `retry-after: ${retryAfter}\r\n`;
  client.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${header}content-length: 0\r\n\r\n`);
}

/** A loopback proxy that reads the key of each question. Faults apply to what passes while they last. */
export class Proxy {
  fault: NetworkFault | undefined;
  readonly firewall = new Firewall();
  readonly controls: Control[] = [];
  readonly #upstreams: readonly number[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #outage: Outage | undefined;
  #port = 0;
  #next = 0;

  constructor(upstreams: readonly number[]) {
    this.#upstreams = upstreams;
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
  }

  async start(): Promise<number> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this.#port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async begin(outage: Outage): Promise<void> {
    this.#outage = outage;
    if (outage !== 'gone') return;
    const closed = once(this.#server, 'close');
    this.close();
    await closed;
  }

  async end(): Promise<void> {
    const wasGone = this.#outage === 'gone';
    this.#outage = undefined;
    if (wasGone) await this.start();
  }

  #join(client: Socket): void {
    const port = this.#upstreams[this.#next++ % this.#upstreams.length];
    if (this.fault?.kind === 'refuse' || port === undefined) {
      reset(client);
      return;
    }
    const server = connect({ port, host: '127.0.0.1', noDelay: true });
    let question = Buffer.alloc(0);
    const onQuestion = async (request: Buffer, key: string): Promise<void> => {
      if (key.startsWith(CONTROL_PREFIX)) this.controls.push({ at: Date.now() });
      const treatment = this.#outageTreatment() ?? (await this.firewall.treat(key));
      if (treatment === 'pass') await this.#pass(request, server, false);
      else if (treatment === 'reset') reset(client);
      else if (treatment === 'close') client.destroy();
      else if (treatment !== 'hang' && client.writable) answer(client, treatment.status, treatment.retryAfter);
    };
    this.#relay(client, server, (chunk) => {
      question = Buffer.concat([question, chunk]);
      const key = QUESTION.exec(question.toString('latin1'))?.[1];
      if (key === undefined) return undefined;
      const request = question;
      question = Buffer.alloc(0);
      return async () => await onQuestion(request, key);
    });
    this.#relay(server, client, (chunk) => async () => await this.#pass(chunk, client, true));
  }

  #relay(from: Socket, to: Socket, read: (chunk: Buffer) => (() => Promise<void>) | undefined): void {
    this.#sockets.add(from);
    let turn = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      const step = read(chunk);
      if (step !== undefined) turn = turn.then(step);
    });
    from.once('end', () => void turn.then(() => to.end()));
    from.once('error', () => reset(to));
    from.once('close', () => {
      this.#sockets.delete(from);
      void turn.then(() => to.destroy());
    });
  }

  #outageTreatment(): Treatment | undefined {
    if (this.#outage === undefined) return undefined;
    if (this.#outage === 'unavailable') return { status: 503 };
    return this.#outage === 'black-hole' ? 'hang' : 'reset';
  }

  async #pass(chunk: Buffer, to: Socket, isAnswer: boolean): Promise<void> {
    const { fault } = this;
    const swallowed = fault?.kind === 'black-hole' || this.#outage === 'black-hole';
    if (to.destroyed || swallowed) return;
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
