import { fieldOf } from '../core/schema.js';
import { BodyBuffer, NO_BODY } from './body.js';
import type { Classify, FailureChecks } from './classify.js';
import {
  answeredStatus,
  METHODS,
  type DispatchController,
  type DispatchHandler,
  type DispatchOptions,
  type Dispatcher,
  type RawHeaders,
} from './dispatcher.js';
import { TransportError, type Exchange, type Transport, type WireRequest, type WireResponse } from './transport.js';

export interface DispatcherOptions extends FailureChecks {
  readonly verifyUrl: string;
  /** Called for each request. */
  readonly dispatcher: () => Dispatcher;
  /** Whether no request ever waits for a connection that another one uses. */
  readonly neverQueues: boolean;
}

/** Sends requests through an undici dispatcher, below its `request()`: a response needs neither a stream nor a signal. */
export function createDispatcherTransport(options: DispatcherOptions): Transport {
  const { verifyUrl, dispatcher: current, neverQueues, classify, ...checks } = options;
  const { origin } = new URL(verifyUrl);
  // Nearly all requests go to the same URL.
  let last: { readonly href: string; readonly url: URL } | undefined;
  const parse = (href: string): URL => {
    if (href !== last?.href) last = { href, url: new URL(href) };
    return last.url;
  };
  // The requests that have a connection. One that is given up loses it.
  const running = new Set<ResponseCollector>();
  return {
    ...checks,
    send(request: WireRequest): Exchange {
      const collector = new ResponseCollector(request, classify, running);
      let dispatcher: Dispatcher | undefined;
      try {
        const url = parse(request.url);
        // A pool has one origin, which it would send the token to all the same.
        if (url.origin !== origin) throw new TypeError('the request goes to another origin than verifyUrl');
        dispatcher = current();
        dispatcher.dispatch(dispatchOptions(request, url), collector);
      } catch (error) {
        collector.fail(error);
      }
      return {
        response: collector.response,
        abort: (reason) => collector.abort(reason),
        isSent: () => neverQueues || collector.started || (queuedIn(dispatcher, origin) ?? running.size) === 0,
      };
    },
  };
}

function dispatchOptions(request: WireRequest, { origin, pathname, search }: URL): DispatchOptions {
  const method = METHODS.find((known) => known === request.method);
  if (method === undefined) throw new TypeError('the request has a method that undici does not send');
  return {
    origin,
    path: pathname + search,
    method,
    headers: { ...request.headers },
    body: request.body ?? null,
    // Undici's own timeouts are coarse and are not needed: the deadline stands outside.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Switches off the redirect interceptor that a caller's dispatcher may have: the token must not travel on.
    maxRedirections: 0,
  };
}

/**
 * How many requests wait for a connection of an undici pool: where none does, one that has not started is connecting. An agent
 * has statistics for each origin. A proxy agent has none, nor has one behind an interceptor that resolves names: there it is
 * connecting if none of ours has a connection that it could be waiting for.
 */
function queuedIn(dispatcher: unknown, origin: string): number | undefined {
  const stats = fieldOf(dispatcher, 'stats');
  const queued = fieldOf(fieldOf(stats, origin) ?? stats, 'queued');
  return typeof queued === 'number' ? queued : undefined;
}

/** How long the rest of a body that does not matter is waited for, so that its connection can be used again. */
const DRAIN_MS = 100;

class ResponseCollector implements DispatchHandler {
  readonly response: Promise<WireResponse>;
  /** Whether the request has been handed to a connection. */
  started = false;
  #resolve!: (response: WireResponse) => void;
  #reject!: (error: unknown) => void;
  readonly #request: WireRequest;
  readonly #classify: Classify;
  readonly #running: Set<ResponseCollector>;
  readonly #body = new BodyBuffer();
  #controller: DispatchController | undefined;
  #abortReason: Error | undefined;
  #redirected = false;
  #status = 0;
  #headers: RawHeaders = {};
  #draining: NodeJS.Timeout | undefined;

  constructor(request: WireRequest, classify: Classify, running: Set<ResponseCollector>) {
    this.#request = request;
    this.#classify = classify;
    this.#running = running;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  fail(error: unknown): void {
    this.#running.delete(this);
    this.#reject(this.#classify(error, this.#request.url));
  }

  abort(reason: Error): void {
    this.#abortReason = reason;
    this.#running.delete(this);
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: DispatchController, context: unknown): void {
    this.#controller = controller;
    this.started = true;
    // Given up while it was waiting for a connection: the key and the token need not travel any more.
    if (this.#abortReason !== undefined) controller.abort(this.#abortReason);
    else this.#running.add(this);
    // A redirect was followed all the same: what comes now is not from the key server.
    const history = fieldOf(context, 'history');
    this.#redirected = Array.isArray(history) && history.length > 0;
  }

  onResponseStart(controller: DispatchController, statusCode: number, headers: RawHeaders): void {
    // Of an early hint or of "continue" there is nothing to be had.
    if (statusCode < 200) return;
    this.#status = this.#redirected ? 302 : statusCode;
    this.#headers = headers;
    if (!this.#request.needsBody(this.#status)) {
      // Not before its connection is free: until then a request that follows would have to wait for it, and seem to hang.
      this.#draining = setTimeout(() => this.#abandonBody(controller), DRAIN_MS);
    } else if (!/^(?:identity)?$/i.test(headerOf(headers, 'content-encoding') ?? ''))
      controller.abort(
        new TransportError('invalid_response', 'keyverify: the key server encoded a response that was to be plain'),
      );
  }

  onResponseData(controller: DispatchController, chunk: Uint8Array): void {
    const tooLarge = this.#body.push(chunk);
    if (tooLarge !== undefined) controller.abort(tooLarge);
  }

  onResponseEnd(): void {
    clearTimeout(this.#draining);
    this.#respond(this.#status, this.#headers, this.#draining === undefined ? this.#body.bytes() : NO_BODY);
  }

  onResponseError(_controller: DispatchController, error: Error): void {
    clearTimeout(this.#draining);
    // The status has said all there is to say.
    if (this.#draining !== undefined) {
      this.#respond(this.#status, this.#headers, NO_BODY);
      return;
    }
    const status = answeredStatus(error);
    if (status === undefined) this.fail(error);
    else this.#respond(status, fieldOf(error, 'headers'), NO_BODY);
  }

  #abandonBody(controller: DispatchController): void {
    clearTimeout(this.#draining);
    this.#respond(this.#status, this.#headers, NO_BODY);
    controller.abort(new Error('the body takes too long'));
  }

  #respond(status: number, headers: unknown, body: Uint8Array): void {
    this.#running.delete(this);
    this.#resolve({ status, header: (name) => headerOf(headers, name), body });
  }
}

function headerOf(headers: unknown, name: string): string | undefined {
  const value = fieldOf(headers, name);
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'string' ? value : undefined;
}
