import { STATUS_CODES } from 'node:http';

import type { KeyBook } from './book.js';
import type { Dialect } from './dialect.js';

export const VERIFY_PATH = '/internal/verify-key';
export const JSON_TYPE = { 'content-type': 'application/json' };

/** The body of a request, as the contract has it. */
export interface VerifyBody {
  readonly key: string;
  readonly scope: string | undefined;
}

/** What is sent back. */
export interface ServerReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What the contract asks the key server to send back. */
export interface ContractReply extends ServerReply {
  readonly outcome: 'valid' | 'rejected' | 'refused';
  readonly body: string;
}

/** `undefined` if the body isn't JSON, or has the wrong shape. */
export function parseBody(body: string): VerifyBody | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('key' in value)) return undefined;
  const key = value.key;
  const scope = 'scope' in value ? value.scope : undefined;
  if (typeof key !== 'string' || key === '' || (scope !== undefined && typeof scope !== 'string')) return undefined;
  return { key, scope };
}

export const errorBody = (status: number): string => JSON.stringify({ error: STATUS_CODES[status] });

function refuse(status: number, headers: Readonly<Record<string, string>> = {}): ContractReply {
  return { outcome: 'refused', status, headers: { ...JSON_TYPE, ...headers }, body: errorBody(status) };
}

/** The key server's side of the contract, without the network. */
export class VerifyEndpoint {
  readonly #book: KeyBook;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #dialect: Dialect | undefined;

  constructor(book: KeyBook, cacheControl: string | undefined, dialect: Dialect | undefined) {
    this.#book = book;
    this.#dialect = dialect;
    this.#headers = cacheControl === undefined ? JSON_TYPE : { ...JSON_TYPE, 'cache-control': cacheControl };
  }

  reply(
    request: { readonly method: string; readonly path: string; readonly tokenAccepted: boolean; readonly at: number },
    body: VerifyBody | 'too-large' | undefined,
  ): ContractReply {
    if (request.path !== VERIFY_PATH) return refuse(404);
    const { method = 'POST' } = this.#dialect ?? {};
    if (request.method !== method) return refuse(405, { allow: method });
    if (!request.tokenAccepted) return refuse(401);
    if (body === 'too-large') return refuse(413);
    if (body === undefined) return refuse(400);
    const found = this.#book.find(body.key, body.scope, request.at);
    const headers = this.#headers;
    if (this.#dialect !== undefined) {
      const { status, json } = this.#dialect.write(found);
      return { outcome: typeof found === 'string' ? 'rejected' : 'valid', status, headers, body: JSON.stringify(json) };
    }
    return typeof found === 'string'
      ? { outcome: 'rejected', status: 200, headers, body: JSON.stringify({ valid: false, reason: found }) }
      : { outcome: 'valid', status: 200, headers, body: found.verdict };
  }
}
