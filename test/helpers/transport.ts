import { isObject } from '../../src/core/schema.js';
import type { SendOptions, Transport, WireRequest, WireResponse } from '../../src/transport/transport.js';

/** What a test lets become of a request: a response, an error, or nothing yet. */
export type Reply = WireResponse | Error | undefined;

/** A request that a test answers itself, whenever it likes. */
export class SentRequest {
  readonly wire: WireRequest;
  readonly options: SendOptions | undefined;
  readonly response: Promise<WireResponse>;
  /** Why it was given up; `undefined` while its response is waited for. */
  abortedBy: Error | undefined;
  #settle!: { readonly resolve: (response: WireResponse) => void; readonly reject: (error: Error) => void };

  constructor(wire: WireRequest, options?: SendOptions) {
    this.wire = wire;
    this.options = options;
    this.response = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  /** The key that it asks about, by the default protocol. */
  get key(): string {
    const body: unknown = JSON.parse(this.wire.body ?? '{}');
    return isObject(body) && 'key' in body ? String(body.key) : '';
  }

  answer(reply: WireResponse | Error): void {
    if (reply instanceof Error) this.#settle.reject(reply);
    else this.#settle.resolve(reply);
  }
}

/** A transport without a network. Requests are answered by `script` at once, or by the test later. */
export class FakeTransport implements Transport {
  readonly requests: SentRequest[] = [];
  /** What happens to a request as soon as it is sent. */
  script: (request: SentRequest) => Reply = () => undefined;
  /** Whether requests are handed to a connection; `undefined` for a transport that doesn't say. */
  isSent: boolean | undefined;

  send(wire: WireRequest, options?: SendOptions) {
    const request = new SentRequest(wire, options);
    this.requests.push(request);
    const reply = this.script(request);
    if (reply !== undefined) request.answer(reply);
    return {
      response: request.response,
      abort: (reason: Error) => (request.abortedBy = reason),
      ...(this.isSent !== undefined && { isSent: () => this.isSent === true }),
    };
  }

  /** The request sent last. */
  get latest(): SentRequest {
    const latest = this.requests.at(-1);
    if (latest === undefined) throw new Error('nothing was sent');
    return latest;
  }
}
