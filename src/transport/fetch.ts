import {
  MAX_RESPONSE_BYTES,
  ResponseTooLarge,
  join,
  type Exchange,
  type ServerRequest,
  type ServerResponse,
  type Transport,
} from './transport.js';

/** As much of the global `fetch` as is called: one that a caller brings need not have more. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Asks by `fetch`: the one transport that every runtime has. */
export function fetchTransport(fetch: Fetch): Transport {
  return {
    send({ url, method, headers, body }: ServerRequest): Exchange {
      const controller = new AbortController();
      const init: RequestInit = { method, headers, body, redirect: 'manual', signal: controller.signal };
      return { response: exchange(fetch, url, init), abort: (reason) => controller.abort(reason) };
    },
  };
}

/** The runtime's own `fetch`, looked up at each request: whoever replaces it later is heard. */
export function globalFetchTransport(): Transport {
  return fetchTransport((url, init) => globalThis.fetch(url, init));
}

async function exchange(fetch: Fetch, url: string, init: RequestInit): Promise<ServerResponse> {
  const response = await fetch(url, init);
  // Browsers show a redirect that is not followed as status 0, and a fetch of the caller's may follow it all the same.
  const status = response.type === 'opaqueredirect' || response.redirected ? 302 : response.status;
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined;
  if (status === 200) return { status, header, body: await read(response.body) };
  // Whatever became of its body, the status has said all there is to say.
  response.body?.cancel().catch(() => undefined);
  return { status, header, body: new Uint8Array() };
}

async function read(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream?.getReader();
  for (let step = await reader?.read(); step?.done === false; step = await reader?.read()) {
    chunks.push(step.value);
    size += step.value.byteLength;
    if (size > MAX_RESPONSE_BYTES) {
      await reader?.cancel();
      throw new ResponseTooLarge();
    }
  }
  return join(chunks, size);
}
