import {
  MAX_RESPONSE_BYTES,
  ResponseTooLarge,
  join,
  type Exchange,
  type ServerRequest,
  type ServerResponse,
  type Transport,
} from './transport.js';

interface Controller {
  abort(reason: Error): void;
}

interface DispatchOptions {
  readonly origin: string;
  readonly path: string;
  readonly method: 'POST';
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

interface DispatchHandler {
  onRequestStart(controller: Controller): void;
  onResponseStart(controller: Controller, statusCode: number, headers: Headers): void;
  onResponseData(controller: Controller, chunk: Uint8Array): void;
  onResponseEnd(): void;
  onResponseError(controller: Controller, error: Error): void;
}

/** As much of undici's `Dispatcher` as is called: an `Agent`, `Pool`, `ProxyAgent`, ... of undici 7 or later fits. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
}

/** Asks through an undici dispatcher, below its `request()`: an answer needs neither a stream nor a signal. */
export function dispatcherTransport(verifyUrl: string, open: () => Dispatcher | Promise<Dispatcher>): Transport {
  const { origin, pathname, search } = new URL(verifyUrl);
  const path = pathname + search;
  return {
    send({ method, headers, body }: ServerRequest): Exchange {
      // Undici's own time-outs are coarse and are not needed: the deadline stands outside.
      const options = { origin, path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 };
      const collector = new Collector();
      const start = (dispatcher: Dispatcher): void => {
        try {
          dispatcher.dispatch(options, collector);
        } catch (error) {
          collector.reject(error);
        }
      };
      const dispatcher = open();
      if (dispatcher instanceof Promise) dispatcher.then(start, collector.reject);
      else start(dispatcher);
      return { response: collector.response, abort: (reason) => collector.abort(reason) };
    },
  };
}

class Collector implements DispatchHandler {
  readonly response: Promise<ServerResponse>;
  resolve!: (response: ServerResponse) => void;
  reject!: (error: unknown) => void;
  #status = 0;
  #headers: Headers = {};
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #controller: Controller | undefined;
  #aborted: Error | undefined;

  constructor() {
    this.response = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    // Given up while it was waiting for a connection: the key and the token need not travel any more.
    if (this.#aborted !== undefined) controller.abort(this.#aborted);
  }

  onResponseStart(_controller: Controller, statusCode: number, headers: Headers): void {
    this.#status = statusCode;
    this.#headers = headers;
  }

  onResponseData(controller: Controller, chunk: Uint8Array): void {
    this.#size += chunk.byteLength;
    if (this.#size > MAX_RESPONSE_BYTES) controller.abort(new ResponseTooLarge());
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const headers = this.#headers;
    this.resolve({
      status: this.#status,
      header(name) {
        const value = headers[name];
        return typeof value === 'string' ? value : value?.join(', ');
      },
      body: join(this.#chunks, this.#size),
    });
  }

  onResponseError(_controller: Controller, error: Error): void {
    // Whatever became of its body, a status other than 200 has said all there is to say: a 429 is no outage.
    // Up to 200 it has not: below are none, and those that only announce another.
    if (this.#status <= 200) this.reject(error);
    else this.onResponseEnd();
  }
}
