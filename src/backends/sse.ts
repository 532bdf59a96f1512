/**
 * `keyverify/sse`: revocations as server-sent events from the key server, on every runtime that keeps a stream open.
 *
 * @module
 */
import { fleet } from './fleet.js';
import { checkOptions } from '../core/check-options.js';
import { isHeaderValue } from '../core/header.js';
import { lazy } from '../core/lazy.js';
import { isLoopback } from '../core/loopback.js';
import { redact, redactError } from '../core/redact.js';
import { check, func, isFunction, number, optional } from '../core/schema.js';
import { VERSION } from '../version.js';
import { deliver } from '../fleet/deliver.js';
import { EventStreamParser, type ServerSentEvent } from '../fleet/event-stream.js';
import { isPosition } from '../fleet/position.js';
import {
  parseMessage,
  type FollowContext,
  type PositionedMessage,
  type RevocationSource,
} from '../fleet/revocation.js';
import { secretsIn, withoutQuery } from '../fleet/stream-url.js';

/** The options of `sseRevocations()`. */
export interface SseRevocationsOptions {
  /** The URL of the stream. Default: `revocations` beside `verifyUrl`, e.g. `https://keys.example.com/internal/revocations`. */
  readonly url?: string | URL | undefined;
  /** The token to send as `X-Service-Token`, or a function that fetches it. Default: the verifier's service token. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** How often the key server sends a heartbeat at least, in milliseconds, from 100 on. Default: 5 000. */
  readonly heartbeatMs?: number | undefined;
  /** Opens the stream. Default: the runtime's `fetch`. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
}

/** How often a heartbeat is expected. */
const HEARTBEAT_MS = 5_000;

/** So many tokens are looked for in errors: where a token was replaced, a server may still quote the one before. */
const MAX_SENT = 4;

const shape = lazy(() => ({
  url: optional(
    check(isSafe, 'a URL without credentials: https:, or http: to this machine, since others could read the token'),
  ),
  token: optional(check(isToken, 'printable ASCII, or a function that returns it')),
  heartbeatMs: optional(number((ms) => ms >= 100, 'a number of milliseconds, at least 100')),
  fetch: optional(func<NonNullable<SseRevocationsOptions['fetch']>>()),
}));

class SseRevocations implements RevocationSource {
  readonly fleet = fleet;
  readonly name: string;
  readonly heartbeatMs: number;
  readonly #options: SseRevocationsOptions;
  /** The tokens that were sent last. */
  #sent: readonly string[] = [];

  constructor(options: SseRevocationsOptions) {
    this.#options = checkOptions(shape(), options);
    const { url, heartbeatMs = HEARTBEAT_MS } = this.#options;
    this.heartbeatMs = heartbeatMs;
    this.name = url === undefined ? 'sse' : `sse:${withoutQuery(url)}`;
  }

  async follow(context: FollowContext): Promise<void> {
    const url = String(this.#options.url ?? new URL('revocations', context.verifyUrl));
    try {
      await this.#follow(url, context);
    } catch (error) {
      throw redactError(error, [...this.#sent, ...secretsIn(url)]);
    }
  }

  async #follow(url: string, context: FollowContext): Promise<void> {
    const { sink, from, signal, token: verifierToken } = context;
    const { token, fetch = globalThis.fetch } = this.#options;
    const ask = async (sent: string): Promise<Response> => {
      this.#sent = [sent, ...this.#sent.filter((other) => other !== sent)].slice(0, MAX_SENT);
      const resume = from === undefined ? undefined : { 'last-event-id': from };
      const headers = { ...HEADERS, 'x-service-token': sent, ...resume };
      return await fetch(url, { headers, signal, redirect: 'error', cache: 'no-store' });
    };
    const own = typeof token === 'function' ? await token() : token;
    // `fetch` would quote it.
    if (own !== undefined && !isHeaderValue(own)) throw new TypeError('token: expected a string of printable ASCII');
    const sent = own ?? (await verifierToken());
    let response = await ask(sent);
    if (response.status === 401 && own === undefined) {
      await response.body?.cancel();
      response = await ask(await verifierToken(sent));
    }
    const type = response.headers.get('content-type') ?? '';
    if (response.status !== 200 || !type.startsWith(STREAM) || response.body === null) {
      await response.body?.cancel();
      // Before a part of it is quoted: half a token would not be found any more.
      const problem = notStream(response.status, redact(type, this.#sent));
      throw new TypeError(`${withoutQuery(url)} answered ${response.status}${problem}`);
    }
    const parser = new EventStreamParser();
    const decoder = new TextDecoder();
    for await (const bytes of chunksOf(response.body, signal)) {
      const events = parser.push(decoder.decode(bytes, { stream: true }));
      if (events.length === 0) continue;
      await deliver(
        events.map((event) => this.#toMessage(event)),
        context,
      );
      sink.caughtUp();
    }
  }

  /** What is wrong with an event is logged with its id and the names of its fields, which may be a token as well. */
  #toMessage({ id, data }: ServerSentEvent): PositionedMessage {
    if (isPosition(id) && parseMessage(data) !== undefined) return { position: id, json: data };
    return { position: redact(id, this.#sent), json: redact(data, this.#sent) };
  }
}

const STREAM = 'text/event-stream';

const HEADERS = { accept: STREAM, 'user-agent': `keyverify/${VERSION}` };

function isToken(value: unknown): value is NonNullable<SseRevocationsOptions['token']> {
  return isFunction(value) || isHeaderValue(value);
}

function isSafe(url: unknown): url is string | URL {
  if (!URL.canParse(String(url))) return false;
  const { protocol, hostname, username, password } = new URL(String(url));
  // `fetch` refuses them, and quotes them in its error.
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** What comes instead of a stream. */
function notStream(status: number, type: string): string {
  if (status !== 200) return '';
  return type.startsWith(STREAM)
    ? ' without a body'
    : ` with content-type ${type.slice(0, 64) || 'none'}, not ${STREAM}`;
}

/** Not every runtime can iterate over a stream. Ends with the signal, which the `fetch` of Node may forget with its request. */
async function* chunksOf(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

/**
 * Revocations as server-sent events, from `GET …/revocations` beside `verifyUrl`. Throws `InvalidOptionsError` for wrong
 * options, such as an `http:` URL of another machine, where others could read the token.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({ verifyUrl, serviceToken, revocations: sseRevocations() });
 * ```
 */
export function sseRevocations(options: SseRevocationsOptions = {}): RevocationSource {
  return new SseRevocations(options);
}
