import type { IncomingMessage, ServerResponse } from 'node:http';

import { InvalidOptionsError } from '../core/errors.js';
import type { Rejected } from '../core/result.js';
import type { Revocation, RevocationSource } from '../fleet/revocation.js';
import type { DefinedProtocol } from '../protocols/define.js';
import { CONTRACT_FIELDS, KeyBook, type KeyRecord } from './book.js';
import { dialectOf, ownerPlace, type Dialect } from './dialect.js';
import { parseBody, VerifyEndpoint, VERIFY_PATH } from './endpoint.js';
import type { Respond } from './reply.js';
import { applyFault, later, send, type Fault, type PendingReply } from './faults.js';
import { Listener, type ListenerOptions } from './listener.js';
import { REVOCATIONS_PATH, RevocationStream } from './revocation-stream.js';
import { fingerprintOf, RequestLog, type KeyServerRequest } from './log.js';
import { checkKey, checkKeyServer, checkTokens } from './validate.js';
import { checkFault, checkTimes } from './validate-fault.js';
import { checkRevocation } from './validate-revocation.js';

/** The options of `startKeyServer()`. Every duration is in milliseconds. */
export interface KeyServerOptions extends ListenerOptions {
  /** The keys that it knows at the start, with the client, tenant and claims of each. Default: none. */
  readonly keys?: Readonly<Record<string, KeyRecord>> | undefined;
  /**
   * The protocol that it speaks. Default: the contract of
   * https://github.com/keyverify/keyverify/blob/main/docs/protocol.md
   */
  readonly protocol?: DefinedProtocol | undefined;
  /** Writes the fields that `protocol` reads with functions. Default: none; fields named by path are written anyway. */
  readonly respond?: Respond | undefined;
  /** The service tokens that it accepts. Default: that of `protocol`, else `['service-token']`. */
  readonly serviceTokens?: readonly string[] | undefined;
  /** The `Cache-Control` of every verdict. Default: none. */
  readonly cacheControl?: string | undefined;
  /** How long every response takes, in milliseconds. Default: 0. */
  readonly delayMs?: number | undefined;
  /** How often the stream of revocations sends a heartbeat, in milliseconds. Default: 1 000. */
  readonly heartbeatMs?: number | undefined;
  /** Where revocations are published beside its own stream, e.g. `redisRevocations()`. Default: nowhere else. */
  readonly publishTo?: Pick<RevocationSource, 'publish'> | undefined;
  /** The current time, in epoch milliseconds, for the expiry of keys. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** Counts since the start. `requests` is the sum of `valid`, `rejected`, `refused` and `faults`. */
export interface KeyServerCounts {
  /** Requests that arrived in full, those of control questions included. */
  readonly requests: number;
  /** Verdicts on valid keys. */
  readonly valid: number;
  /** Verdicts on invalid keys. */
  readonly rejected: number;
  /** Requests answered with 400, 401, 404, 405 or 413, by the contract. */
  readonly refused: number;
  /** Requests that got an injected fault. */
  readonly faults: number;
  /** TCP connections accepted so far. */
  readonly connections: number;
  /** TCP connections that are open. */
  readonly openConnections: number;
  /** Requests whose response has not ended yet. */
  readonly inFlight: number;
  /** The highest `inFlight` so far. */
  readonly maxInFlight: number;
}

const MAX_BODY_BYTES = 65_536;

/** A key server on a real socket, made by `startKeyServer()`. It keeps its keys, its log and its port when it is stopped. */
export class KeyServer {
  readonly #options: KeyServerOptions;
  readonly #listener: Listener;
  readonly #book: KeyBook;
  readonly #dialect: Dialect | undefined;
  readonly #endpoint: VerifyEndpoint;
  readonly #log = new RequestLog();
  readonly #stream: RevocationStream;
  readonly #counts = { requests: 0, valid: 0, rejected: 0, refused: 0, faults: 0, maxInFlight: 0 };
  #inFlight = 0;
  #tokens: ReadonlySet<unknown>;
  #fault: Fault | ((request: KeyServerRequest) => Fault | undefined) | undefined;
  #faultyRequests = 0;

  constructor(options: KeyServerOptions) {
    checkKeyServer(options);
    const { keys, protocol, respond, cacheControl, heartbeatMs = 1_000 } = options;
    this.#options = options;
    this.#listener = new Listener(options, this.#receive.bind(this));
    const rules =
      protocol === undefined
        ? { hasScopes: true, reserved: CONTRACT_FIELDS }
        : { hasScopes: true, ownerAt: ownerPlace(protocol) };
    this.#book = new KeyBook(keys, rules);
    this.#dialect = protocol && dialectOf(protocol, respond, this.#book);
    this.#endpoint = new VerifyEndpoint(this.#book, cacheControl, this.#dialect);
    this.#tokens = new Set(options.serviceTokens ?? this.#dialect?.serviceTokens ?? ['service-token']);
    this.#stream = new RevocationStream(heartbeatMs);
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#listener.port;
  }

  /** The origin, without a slash at the end. */
  get url(): string {
    return this.#listener.url;
  }

  /** The URL to verify keys at: the `verifyUrl` of a `KeyVerifier`. */
  get verifyUrl(): string {
    return this.url + VERIFY_PATH;
  }

  /** The last 1 000 requests, oldest first. */
  get requests(): readonly KeyServerRequest[] {
    return this.#log.requests;
  }

  /** Counts since the start. A copy: read it again for new numbers. */
  get counts(): KeyServerCounts {
    return { ...this.#counts, ...this.#listener.counts, inFlight: this.#inFlight };
  }

  /** How many requests asked for this key. Known for the last 100 000 keys. */
  asked(key: string): number {
    checkKey(key);
    return this.#log.asked(key);
  }

  /**
   * Issues a key, or replaces what is known about it, and publishes that. A revoked key becomes valid again. Throws
   * `InvalidOptionsError` for a wrong record.
   */
  issue(key: string, record: KeyRecord): void {
    this.#book.issue(key, record);
    this.publish({ type: 'changed', select: { fingerprint: fingerprintOf(key) } });
  }

  /** Rejects an issued key from now on, and publishes that. Throws for any other key. Default reason: `'revoked'`. */
  revoke(key: string, reason: Rejected['reason'] = 'revoked'): void {
    if (!this.#book.has(key)) throw new InvalidOptionsError(['revoke: expected a key that was issued']);
    this.#book.reject(key, reason);
    this.publish({ type: 'revoked', select: { fingerprint: fingerprintOf(key) } });
  }

  /** Makes a key unknown, and publishes that. */
  forget(key: string): void {
    this.#book.forget(key);
    this.publish({ type: 'revoked', select: { fingerprint: fingerprintOf(key) } });
  }

  /** Publishes to all followers of its stream, `GET /internal/revocations`, and to `publishTo`. Throws `InvalidOptionsError` for a wrong revocation. */
  publish(revocation: Revocation): void {
    checkRevocation(revocation);
    const message = { at: (this.#options.now ?? Date.now)(), ...revocation };
    this.#stream.publish(message);
    // A store that is down loses it, as it would in production without an outbox.
    this.#options.publishTo?.publish?.(message).catch(() => undefined);
  }

  /** Restarts the stream of revocations without its history: all followers see a gap. */
  restartStream(): void {
    this.#stream.restart();
    this.dropConnections();
  }

  /** Accepts only these service tokens from now on. */
  setServiceTokens(tokens: readonly string[]): void {
    checkTokens(tokens);
    this.#tokens = new Set(tokens);
  }

  /**
   * Injects a fault into the responses to the next `times` requests (default: all, until `clearFaults()`). It replaces the
   * previous fault. A function is called for each request; if it returns `undefined`, that request is answered normally.
   * Throws `InvalidOptionsError` for an unknown fault or wrong fields. Where a function returns such a fault, or throws, that is an
   * uncaught exception: it fails the test run.
   *
   * @example
   * ```ts
   * keyServer.injectFault({ kind: 'status', status: 503, retryAfter: 1 }, { times: 2 });
   * keyServer.injectFault(({ scope }) => (scope === 'cust-A' ? { kind: 'hang' } : undefined));
   * ```
   */
  injectFault(
    fault: Fault | ((request: KeyServerRequest) => Fault | undefined),
    options: { readonly times?: number | undefined } = {},
  ): void {
    checkTimes(options);
    const { times = Infinity } = options;
    if (typeof fault !== 'function') checkFault(fault);
    this.#fault = fault;
    this.#faultyRequests = times;
  }

  /** Injects no more faults. Requests that already hang, drip or are delayed go on doing so. */
  clearFaults(): void {
    this.#fault = undefined;
  }

  /** Closes every open connection, and goes on listening. Requests in flight get no response. */
  dropConnections(): void {
    this.#listener.dropConnections();
  }

  /** Listens again, on the same port. Rejects with `EADDRINUSE` if the port is taken. */
  async start(): Promise<void> {
    await this.#listener.start();
  }

  /** Stops listening, and closes every open connection: an outage, until `start()`. Requests in flight get no response. */
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
    // The clock of a test may stand somewhere else: a verifier would warn of it.
    response.sendDate = false;
    if (request.method === 'GET' && request.url === REVOCATIONS_PATH) {
      this.#stream.open(request, response, this.#tokens.has(request.headers['x-service-token']));
      return;
    }
    this.#counts.maxInFlight = Math.max(this.#counts.maxInFlight, ++this.#inFlight);
    response.on('close', () => this.#inFlight--);
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => {
      this.#respond(request, response, size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString());
    });
  }

  /** `text` is the body, `undefined` if it is too large. */
  #respond(message: IncomingMessage, response: ServerResponse, text: string | undefined): void {
    const { headers, method, url, socket } = message;
    const raw = { headers, url: String(url), body: text ?? '' };
    const read = this.#dialect === undefined ? parseBody(raw.body) : this.#dialect.parse(raw);
    const tokenAccepted = this.#dialect?.accepts(raw, this.#tokens) ?? this.#tokens.has(headers['x-service-token']);
    const body = text === undefined ? 'too-large' : read;
    const asked = typeof body === 'object' ? body : undefined;
    const request = this.#log.add(
      {
        at: (this.#options.now ?? Date.now)(),
        method: String(method),
        path: String(url).replace(/\?.*/, ''),
        headers,
        tokenAccepted,
        scope: asked?.scope,
      },
      asked?.key,
      this.#dialect?.secretHeaders,
    );
    const reply = this.#endpoint.reply(request, body);
    const pending = { request, response, reply, reset: () => this.#listener.reset(socket) };
    const fault = this.#nextFault(request);
    this.#counts.requests++;
    this.#counts[fault === undefined ? reply.outcome : 'faults']++;
    request.fault = fault?.kind;
    if (fault === undefined) this.#send(pending);
    else applyFault(fault, pending);
  }

  #nextFault(request: KeyServerRequest): Fault | undefined {
    if (this.#faultyRequests-- <= 0) return undefined;
    if (typeof this.#fault !== 'function') return this.#fault;
    const fault = this.#fault(request);
    if (fault !== undefined) checkFault(fault);
    return fault;
  }

  #send(pending: PendingReply): void {
    const { delayMs = 0 } = this.#options;
    if (delayMs > 0) later(pending.response, delayMs, () => send(pending, pending.reply));
    else send(pending, pending.reply);
  }
}

/**
 * Starts a key server for tests: the whole contract over HTTP on a real socket, with faults on demand. Rejects with
 * `EADDRINUSE` if the port is taken, and with `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * await using keyServer = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
 * await using verifier = new KeyVerifier({ verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token' });
 * await verifier.verify('sk-1'); // verified
 * await keyServer.stop();
 * await verifier.verify('sk-2'); // failed-closed
 * ```
 */
export async function startKeyServer(options: KeyServerOptions = {}): Promise<KeyServer> {
  const server = new KeyServer(options);
  await server.start();
  return server;
}
