/** One request to the key server. */
export interface ServerRequest {
  readonly url: string;
  readonly method: 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came back. A redirect is an answer like any other: it must not be followed. */
export interface ServerResponse {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** Needed for status 200 only; a transport consumes or drops the body of any other. */
  readonly body: Uint8Array;
}

/** A request on its way. */
export interface Exchange {
  /** Rejects with whatever error the network gave, or with `ResponseTooLarge`. */
  readonly response: Promise<ServerResponse>;
  /** Gives the request up and frees its connection; `response` may then reject, or never settle. */
  readonly abort: (reason: Error) => void;
}

/** How requests reach the key server. */
export interface Transport {
  send(request: ServerRequest): Exchange;
  /** Loads and opens ahead of time whatever the first request would wait for. */
  warmUp?(): Promise<void>;
  close?(): Promise<void>;
}

/** What a runtime's own transport is made from. */
export interface TransportSettings {
  readonly verifyUrl: string;
  readonly maxConcurrency: number;
  readonly timeoutMs: number;
}

/** The most that a verdict may weigh, in bytes. */
export const MAX_RESPONSE_BYTES = 64 * 1024;

export const RESPONSE_TOO_LARGE = 'RESPONSE_TOO_LARGE';

export class ResponseTooLarge extends Error {
  override readonly name = 'ResponseTooLarge';
  readonly code = RESPONSE_TOO_LARGE;

  constructor() {
    super(`the response is larger than ${MAX_RESPONSE_BYTES} bytes`);
  }
}

/** Puts the chunks of a body together. */
export function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
