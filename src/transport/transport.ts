import { fieldOf } from '../core/schema.js';

/** One request to the key server. */
export interface WireRequest {
  /** The absolute URL, with its query. */
  readonly url: string;
  /** The method, such as `POST`. */
  readonly method: string;
  /** The headers by name, credentials included. */
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined` for a request without a body. */
  readonly body: string | undefined;
  /** Whether the body of a response with this status matters. The body of any other is consumed or dropped. */
  readonly needsBody: (status: number) => boolean;
  /** Other forms in which the request carries the key or a token, such as a hash: redacted like the two themselves. */
  readonly secrets?: readonly string[] | undefined;
}

/** What came back. A redirect is a response like any other: it must not be followed. */
export interface WireResponse {
  /** The HTTP status, also that of a redirect. */
  readonly status: number;
  /** The value of a header, by its name in lower case; several values joined by a comma. */
  readonly header: (name: string) => string | undefined;
  /** The body, up to 64 KiB; empty if `needsBody` doesn't ask for it. A longer one fails as `invalid_response`. */
  readonly body: Uint8Array;
}

/** A request in flight. */
export interface Exchange {
  /** Rejects with a `TransportError`. Anything else that it rejects with counts as a mistake in the transport, and denies. */
  readonly response: Promise<WireResponse>;
  /** Gives the request up and frees its connection; `response` may then reject, or never settle. */
  readonly abort: (reason: Error) => void;
  /**
   * Whether the request has been handed to a connection, or is connecting: a request that waits behind others in a pool of
   * ours says nothing about the key server. Default: it has.
   */
  readonly isSent?: () => boolean;
}

/** How a request is sent. */
export interface SendOptions {
  /**
   * Whether it goes over a connection of its own, where the transport can do that: of a server behind a balancer, an idle
   * connection shows the one backend that it leads to. Default: `false`.
   */
  readonly fresh?: boolean | undefined;
  /**
   * Whether it goes over a connection that is kept for such requests, where the transport can do that: others may be taken by
   * requests that hang, and a new one may lead to the one bad backend behind a balancer. Default: `false`.
   */
  readonly reserved?: boolean | undefined;
}

/** How bytes reach the key server. One place chooses it: `#transport`, unless the caller brings one. */
export interface Transport {
  /** Sends one request. Must not throw: failures reject `response`. */
  send(request: WireRequest, options?: SendOptions): Exchange;
  /** Loads and opens ahead of time what the first request would wait for. */
  warmUp?(): Promise<void>;
  /** Closes its connections. Default: nothing to close. */
  close?(): Promise<void>;
  /**
   * Finds out whether this process, not the key server, is why nothing gets through: no free thread, no file descriptor.
   * Asked before a timeout, or a connection that could not be made, counts as an outage. `waitedMs`: how long that took, in
   * milliseconds. What is refused at once was not waiting for a thread. One that has not found out after 250 ms, or that
   * throws, counts as overloaded, and denies.
   */
  isOverloaded?(waitedMs: number): Promise<boolean>;
}

/** What a runtime's own transport is made from. */
export interface TransportOptions {
  readonly verifyUrl: string;
  /** How many questions are asked at once; control questions and retries come on top. */
  readonly maxConcurrency: number;
  /** How long a connection may take to be made, in milliseconds. */
  readonly timeoutMs: number;
  /** Told once, where the best transport of this runtime can't be had and another one stands in. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** What a request may fail by, without an answer. */
export type TransportFailureKind = 'unreachable' | 'misconfigured' | 'invalid_response' | 'overloaded';

const BRAND = Symbol.for('keyverify.transport-error');

/**
 * Why a request got no response. A transport classifies its own errors, so that the core needs to know none of them:
 * `unreachable` for a lost connection or a server that is not there, by a list and for nothing else.
 */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  /** The kind of failure that the question ends with, unless a retry succeeds. */
  readonly kind: TransportFailureKind;
  /** No connection was made: nothing has left this process. */
  readonly unconnected: boolean;

  constructor(
    kind: TransportFailureKind,
    message: string,
    { cause, unconnected = false }: { readonly cause?: unknown; readonly unconnected?: boolean } = {},
  ) {
    super(message, { cause });
    this.kind = kind;
    this.unconnected = unconnected;
  }

  // On the prototype: a field would be printed with each error.
  // eslint-disable-next-line @typescript-eslint/class-literal-property-style
  get [BRAND](): true {
    return true;
  }
}

/** Also recognizes an error of another copy of this library. */
export function isTransportError(error: unknown): error is TransportError {
  return fieldOf(error, BRAND) === true;
}

/** The most that a response may weigh, in bytes. */
export const MAX_RESPONSE_BYTES = 64 * 1024;
