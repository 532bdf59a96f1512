import type { IncomingMessage, ServerResponse } from 'node:http';

import { KeyBook, type KeyRecord, type Reason } from './book.js';
import { Contract, VERIFY_PATH, readQuestion, type Question } from './contract.js';
import { later, misbehave, send, type Exchange, type Fault } from './faults.js';
import { Listener, type ListenerOptions } from './listener.js';
import { RequestLog, type KeyServerRequest } from './log.js';

/** How the key server is set up. Every duration is in milliseconds. */
export interface KeyServerOptions extends ListenerOptions {
  /** The keys that are issued at the start, by key. Default: none. */
  readonly keys?: Readonly<Record<string, KeyRecord>>;
  /** The service tokens that are accepted. Default: `['service-token']`. */
  readonly serviceTokens?: readonly string[];
  /** The `Cache-Control` that is sent with every verdict. Default: none. */
  readonly cacheControl?: string;
  /** How long every answer takes. Default: 0. */
  readonly delayMs?: number;
  /** The clock that keys expire by, in milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** What happened so far. `requests` is the sum of `valid`, `rejected`, `refused` and `faults`. */
export interface KeyServerCounts {
  readonly requests: number;
  readonly valid: number;
  readonly rejected: number;
  /** Answered 400, 401, 404, 405 or 413, as the contract has it. */
  readonly refused: number;
  /** Met by a fault, whatever the answer would have been. */
  readonly faults: number;
  /** TCP connections accepted so far. */
  readonly connections: number;
  readonly openConnections: number;
  /** Requests that wait for the end of their answer. */
  readonly inFlight: number;
  readonly maxInFlight: number;
}

const MAX_BODY_BYTES = 65_536;

/** A key server on a real socket. It keeps its keys, its log and its port when it stops and comes back. */
export class KeyServer {
  readonly #options: KeyServerOptions;
  readonly #listener: Listener;
  readonly #book: KeyBook;
  readonly #contract: Contract;
  readonly #log = new RequestLog();
  readonly #counts = { requests: 0, valid: 0, rejected: 0, refused: 0, faults: 0, maxInFlight: 0 };
  #inFlight = 0;
  #tokens: ReadonlySet<unknown>;
  #fault: Fault | ((request: KeyServerRequest) => Fault | undefined) | undefined;
  #faultyRequests = 0;

  constructor(options: KeyServerOptions) {
    const { keys, serviceTokens = ['service-token'], cacheControl } = options;
    this.#options = options;
    this.#listener = new Listener(options, this.#receive.bind(this));
    this.#book = new KeyBook(keys);
    this.#contract = new Contract(this.#book, cacheControl);
    this.#tokens = new Set(serviceTokens);
  }

  get port(): number {
    return this.#listener.port;
  }

  /** The origin, without a slash at its end. */
  get url(): string {
    return this.#listener.url;
  }

  /** Where keys are verified. */
  get verifyUrl(): string {
    return this.url + VERIFY_PATH;
  }

  /** The latest 1 000 requests, the oldest first. */
  get requests(): readonly KeyServerRequest[] {
    return this.#log.requests;
  }

  get counts(): KeyServerCounts {
    return { ...this.#counts, ...this.#listener.counts, inFlight: this.#inFlight };
  }

  /** How often this key was asked for, whatever came of it. It is known of the latest 100 000 keys. */
  asked(key: string): number {
    return this.#log.asked(key);
  }

  /** Issues a key, or changes what is known of it. A key that was revoked is good again. */
  issue(key: string, record: KeyRecord): void {
    this.#book.issue(key, record);
  }

  /** Rejects a key from now on, with this reason. Default: `'revoked'`. */
  revoke(key: string, reason: Reason = 'revoked'): void {
    this.#book.reject(key, reason);
  }

  /** Makes a key unknown. */
  forget(key: string): void {
    this.#book.forget(key);
  }

  /** Accepts these service tokens from now on, and no others. */
  setServiceTokens(tokens: readonly string[]): void {
    this.#tokens = new Set(tokens);
  }

  /**
   * Meets requests with a fault: the next `times` of them, or all until told otherwise. It takes the place of the fault
   * before. A function is asked for each request, and has it answered by the contract where it returns `undefined`.
   */
  misbehave(
    fault: Fault | ((request: KeyServerRequest) => Fault | undefined),
    { times = Infinity }: { readonly times?: number } = {},
  ): void {
    this.#fault = fault;
    this.#faultyRequests = times;
  }

  /** Ends the misbehaviour, but for requests that are already in the middle of it. */
  behave(): void {
    this.#fault = undefined;
  }

  /** Listens again, on the same port. Rejects if something else has taken that port. */
  async start(): Promise<void> {
    await this.#listener.start();
  }

  /** Stops listening and destroys every open connection, whatever its request is waiting for. */
  async stop(): Promise<void> {
    await this.#listener.stop();
  }

  /** The same as `stop()`. */
  async close(): Promise<void> {
    await this.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    this.#counts.maxInFlight = Math.max(this.#counts.maxInFlight, ++this.#inFlight);
    response.on('close', () => this.#inFlight--);
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => {
      const question = size > MAX_BODY_BYTES ? 'too-large' : readQuestion(Buffer.concat(chunks).toString());
      this.#answer(request, response, question);
    });
  }

  #answer(message: IncomingMessage, response: ServerResponse, question: Question | 'too-large' | undefined): void {
    const { headers, method, url, socket } = message;
    const asked = typeof question === 'object' ? question : undefined;
    const request = this.#log.add(
      {
        at: (this.#options.now ?? Date.now)(),
        method: String(method),
        path: String(url).replace(/\?.*/, ''),
        headers,
        tokenAccepted: this.#tokens.has(headers['x-service-token']),
        scope: asked?.scope,
      },
      asked?.key,
    );
    const answer = this.#contract.answer(request, question);
    const exchange = { request, response, answer, reset: () => this.#listener.reset(socket) };
    const fault = this.#nextFault(request);
    this.#counts.requests++;
    this.#counts[fault === undefined ? answer.outcome : 'faults']++;
    request.fault = fault?.kind;
    if (fault === undefined) this.#send(exchange);
    else misbehave(fault, exchange);
  }

  #nextFault(request: KeyServerRequest): Fault | undefined {
    if (this.#faultyRequests-- <= 0) return undefined;
    return typeof this.#fault === 'function' ? this.#fault(request) : this.#fault;
  }

  #send(exchange: Exchange): void {
    const { delayMs = 0 } = this.#options;
    if (delayMs > 0) later(exchange.response, delayMs, () => send(exchange, exchange.answer));
    else send(exchange, exchange.answer);
  }
}

/**
 * Starts a key server for tests: the whole contract over real HTTP, and faults on demand.
 *
 * @example
 * ```ts
 * await using server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
 * const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });
 * server.misbehave({ kind: 'status', status: 503 }, { times: 2 });
 * ```
 *
 * Rejects if the port is taken.
 */
export async function startKeyServer(options: KeyServerOptions = {}): Promise<KeyServer> {
  const server = new KeyServer(options);
  await server.start();
  return server;
}
