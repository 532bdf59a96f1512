import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { Fault } from './faults.js';

/** A request that reached the key server. It contains neither the key nor the service token. */
export interface KeyServerRequest {
  /** When it had arrived in full, in epoch milliseconds. */
  readonly at: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As sent, with secrets replaced by `[redacted]`. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** Whether the service token was among the accepted ones. */
  readonly tokenAccepted: boolean;
  /** SHA-256 of the key, as 64 hexadecimal digits. `undefined` if the body held no key. */
  readonly fingerprint: string | undefined;
  /** `undefined` if it was left out. */
  readonly scope: string | undefined;
  /** The status that was sent. `undefined` until then, which is forever if the request hangs or is reset. */
  readonly status: number | undefined;
  /** The fault that was injected. `undefined` if it was answered by the contract. */
  readonly fault: Fault['kind'] | undefined;
}

/** The same, while it is being answered. */
export type LoggedRequest = { -readonly [Field in keyof KeyServerRequest]: KeyServerRequest[Field] };

/** What is known about a request before it is answered. */
type Arrival = Pick<LoggedRequest, 'at' | 'method' | 'path' | 'headers' | 'tokenAccepted' | 'scope'>;

const MAX_REQUESTS = 1_000;
const MAX_COUNTED_KEYS = 100_000;
const SECRET_HEADERS = ['x-service-token', 'authorization', 'proxy-authorization', 'cookie'];

export const fingerprintOf = (key: string): string => hash('sha256', key, 'hex');

/** In place: nothing else reads the message, and a copy would cost more than the rest of the log. */
function redactHeaders(headers: IncomingHttpHeaders, others: readonly string[]): void {
  for (const name of [...SECRET_HEADERS, ...others]) if (headers[name] !== undefined) headers[name] = '[redacted]';
}

/** The latest requests, and how often each key was asked for. Both are bounded: a bench sends millions. */
export class RequestLog {
  /** A ring: once it is full, the oldest is at `#next`. */
  readonly #requests: LoggedRequest[] = [];
  #next = 0;
  readonly #asked = new Map<string, number>();

  get requests(): readonly KeyServerRequest[] {
    return [...this.#requests.slice(this.#next), ...this.#requests.slice(0, this.#next)];
  }

  asked(key: string): number {
    return this.#asked.get(fingerprintOf(key)) ?? 0;
  }

  /** `secretHeaders` hold secrets, beside those that always do. */
  add(arrival: Arrival, key: string | undefined, secretHeaders: readonly string[] = []): LoggedRequest {
    const fingerprint = key === undefined ? undefined : fingerprintOf(key);
    if (fingerprint !== undefined) this.#count(fingerprint);
    redactHeaders(arrival.headers, secretHeaders);
    const request: LoggedRequest = { ...arrival, fingerprint, status: undefined, fault: undefined };
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
