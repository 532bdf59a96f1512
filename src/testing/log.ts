import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { Fault } from './faults.js';

/** A request that reached the key server. It holds neither the key nor the service token. */
export interface KeyServerRequest {
  /** When it had arrived in full, in milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As sent, but for secrets: those read `[redacted]`. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** Whether the service token was among the accepted ones. */
  readonly tokenAccepted: boolean;
  /** SHA-256 of the key, in hex. `undefined` where the body held no key. */
  readonly fingerprint: string | undefined;
  /** `undefined` where it was left out. */
  readonly scope: string | undefined;
  /** The status that was sent. `undefined` while there is none, and for ever if the request hung or was reset. */
  readonly status: number | undefined;
  /** The fault it met. `undefined` where it was answered by the contract. */
  readonly fault: Fault['kind'] | undefined;
}

/** An entry while its request is being answered. */
export type OpenRequest = { -readonly [Field in keyof KeyServerRequest]: KeyServerRequest[Field] };

/** What is known of a request before it is answered. */
type Arrival = Pick<OpenRequest, 'at' | 'method' | 'path' | 'headers' | 'tokenAccepted' | 'scope'>;

const MAX_REQUESTS = 1_000;
const MAX_COUNTED_KEYS = 100_000;
const SECRET_HEADERS = ['x-service-token', 'authorization', 'proxy-authorization', 'cookie'];

const fingerprintOf = (key: string): string => hash('sha256', key, 'hex');

/** In place: the message is nobody else's, and a copy would be the dearest part of the log. */
function redactHeaders(headers: IncomingHttpHeaders): void {
  for (const name of SECRET_HEADERS) if (headers[name] !== undefined) headers[name] = '[redacted]';
}

/** The latest requests, and how often each key was asked for. Both are bounded: a bench sends millions. */
export class RequestLog {
  /** A ring: once it is full, the oldest is at `#next`. */
  readonly #requests: OpenRequest[] = [];
  #next = 0;
  readonly #asked = new Map<string, number>();

  get requests(): readonly KeyServerRequest[] {
    return [...this.#requests.slice(this.#next), ...this.#requests.slice(0, this.#next)];
  }

  asked(key: string): number {
    return this.#asked.get(fingerprintOf(key)) ?? 0;
  }

  add(arrival: Arrival, key: string | undefined): OpenRequest {
    const fingerprint = key === undefined ? undefined : fingerprintOf(key);
    if (fingerprint !== undefined) this.#count(fingerprint);
    redactHeaders(arrival.headers);
    const request: OpenRequest = { ...arrival, fingerprint, status: undefined, fault: undefined };
    this.#requests[this.#next] = request;
    this.#next = (this.#next + 1) % MAX_REQUESTS;
    return request;
  }

  #count(fingerprint: string): void {
    this.#asked.set(fingerprint, (this.#asked.get(fingerprint) ?? 0) + 1);
    if (this.#asked.size > MAX_COUNTED_KEYS) {
      for (const oldest of this.#asked.keys()) {
        this.#asked.delete(oldest);
        break;
      }
    }
  }
}
