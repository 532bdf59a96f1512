import { fieldOf, isFunction, isObject } from '../core/schema.js';
import { BodyBuffer, NO_BODY } from './body.js';
import type { FailureChecks } from './classify.js';
import type { Exchange, Transport, WireRequest, WireResponse } from './transport.js';

/** As much of the global `fetch` as is called: one that a caller brings need not have more. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Sends requests by a `fetch`: the one way that every runtime has. */
export function createFetchTransport(fetch: Fetch, { classify, ...checks }: FailureChecks): Transport {
  return {
    ...checks,
    send(request: WireRequest): Exchange {
      const controller = new AbortController();
      const response = receive(fetch, request, controller.signal).catch(async (error: unknown) => {
        // A timeout of the caller's own. Ours decides: it also knows whether the event loop was blocked.
        if (isTimeout(error)) return await new Promise<never>(() => undefined);
        throw classify(error, request.url);
      });
      return { response, abort: (reason) => controller.abort(reason) };
    },
  };
}

/** Whether an `AbortSignal.timeout()` has fired. */
const isTimeout = (error: unknown): boolean =>
  fieldOf(error, 'name') === 'TimeoutError' && fieldOf(error, 'code') === 23;

/** The runtime's own `fetch`, looked up at each request, since it may be replaced later. */
export const globalFetch: Fetch = async (url, init) => await globalThis.fetch(url, init);

async function receive(fetch: Fetch, request: WireRequest, signal: AbortSignal): Promise<WireResponse> {
  const { url, method, headers, body } = request;
  const init: RequestInit = { method, headers, redirect: 'manual', signal };
  const response = await fetch(url, body === undefined ? init : { ...init, body });
  // Browsers show a redirect that is not followed as status 0, and a fetch of the caller's may follow it all the same.
  const status = response.type === 'opaqueredirect' || response.redirected ? 302 : response.status;
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined;
  if (request.needsBody(status)) return { status, header, body: await read(response) };
  discard(response.body);
  return { status, header, body: NO_BODY };
}

const isReadableStream = (body: unknown): body is ReadableStream<unknown> => isFunction(fieldOf(body, 'getReader'));
const isIterable = (body: unknown): body is AsyncIterable<unknown> => isObject(body) && Symbol.asyncIterator in body;

async function read(response: Response): Promise<Uint8Array> {
  const buffer = new BodyBuffer();
  for await (const chunk of chunks(response)) {
    if (!ArrayBuffer.isView(chunk)) throw new TypeError('fetch gave a body that is not made of bytes');
    const tooLarge = buffer.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (tooLarge !== undefined) throw tooLarge;
  }
  return buffer.bytes();
}

/** Ends the body when the reader stops early, so that one without an end is not read for ever. */
async function* chunks(response: Response): AsyncGenerator {
  const body: unknown = response.body;
  // Not every web stream can be iterated.
  if (isReadableStream(body)) {
    const reader = body.getReader();
    try {
      for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
    } finally {
      reader.cancel().catch(() => undefined);
    }
  }
  // A stream of Node's, as node-fetch has it.
  else if (isIterable(body)) yield* body;
  // Nothing to read in pieces, as in the polyfills on XMLHttpRequest, which has the whole of it by now.
  else yield new Uint8Array(await response.arrayBuffer());
}

/** The status has said all there is to say: what becomes of the body does not matter. */
function discard(body: unknown): void {
  if (isReadableStream(body)) body.cancel().catch(() => undefined);
  else {
    const destroy = fieldOf(body, 'destroy');
    if (isFunction(destroy)) Reflect.apply(destroy, body, []);
  }
}
