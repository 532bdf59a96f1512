import { STATUS_CODES } from 'node:http';

import type { KeyBook } from './book.js';

export const VERIFY_PATH = '/internal/verify-key';
export const JSON_TYPE = { 'content-type': 'application/json' };

/** What the body of a request asks. */
export interface Question {
  readonly key: string;
  readonly scope: string | undefined;
}

/** What the contract has the key server say. */
export interface Answer {
  readonly outcome: 'valid' | 'rejected' | 'refused';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `undefined` where the body isn't JSON, or not of the contract's shape. */
export function readQuestion(body: string): Question | undefined {
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

function refuse(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { outcome: 'refused', status, headers: { ...JSON_TYPE, ...headers }, body: errorBody(status) };
}

/** The key server's side of the contract, but for how requests come in and answers go out. */
export class Contract {
  readonly #book: KeyBook;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(book: KeyBook, cacheControl: string | undefined) {
    this.#book = book;
    this.#headers = cacheControl === undefined ? JSON_TYPE : { ...JSON_TYPE, 'cache-control': cacheControl };
  }

  answer(
    request: { readonly method: string; readonly path: string; readonly tokenAccepted: boolean; readonly at: number },
    question: Question | 'too-large' | undefined,
  ): Answer {
    if (request.path !== VERIFY_PATH) return refuse(404);
    if (request.method !== 'POST') return refuse(405, { allow: 'POST' });
    if (!request.tokenAccepted) return refuse(401);
    if (question === 'too-large') return refuse(413);
    if (question === undefined) return refuse(400);
    const found = this.#book.look(question.key, question.scope, request.at);
    const headers = this.#headers;
    return typeof found === 'string'
      ? { outcome: 'rejected', status: 200, headers, body: JSON.stringify({ valid: false, reason: found }) }
      : { outcome: 'valid', status: 200, headers, body: found.verdict };
  }
}
