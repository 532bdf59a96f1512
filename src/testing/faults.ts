import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { JSON_TYPE, errorBody, type Answer } from './contract.js';
import type { OpenRequest } from './log.js';

/** A way in which the key server misbehaves. In each the request has been read in full, and is in the log. */
export type Fault =
  /** Never answers. The connection stays open until the client leaves or the server stops. */
  | { readonly kind: 'hang' }
  /** Answers as it should, `ms` milliseconds late. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Resets the connection (TCP RST) in place of an answer. */
  | { readonly kind: 'reset-before-headers' }
  /** Sends status and headers of the right answer, then resets the connection. */
  | { readonly kind: 'reset-after-headers' }
  /** Sends the right answer up to the middle of its body, then closes the connection in good order. */
  | { readonly kind: 'close-mid-body' }
  /** Sends the right answer's body byte by byte, one each `intervalMs` milliseconds. Default: 10. */
  | { readonly kind: 'drip'; readonly intervalMs?: number }
  /** Answers with this status, e.g. 401, 429 or 503. `retryAfter` is a number of seconds or an HTTP date. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number | string }
  /** Sends the client elsewhere. Default status: 307, which keeps method and body. */
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number }
  /** Answers 200 with a page of HTML, as a captive portal or a proxy does. */
  | { readonly kind: 'html' }
  /** Answers with the first half of the right JSON, as if that were all. */
  | { readonly kind: 'truncated-json' }
  /** Answers 200 with JSON that is no verdict. */
  | { readonly kind: 'wrong-shape' }
  /** Answers with the right JSON behind `bytes` bytes of white space, chunked. Default: 10 MB (10 000 000 bytes). */
  | { readonly kind: 'huge-body'; readonly bytes?: number }
  /** Answers with the right JSON, called `text/plain`. */
  | { readonly kind: 'wrong-content-type' }
  /** Answers with exactly this. */
  | {
      readonly kind: 'raw';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array;
    };

/** One request on its way to an answer. */
export interface Exchange {
  readonly request: OpenRequest;
  readonly response: ServerResponse;
  readonly answer: Answer;
  /** Resets the TCP connection, also from below TLS. */
  readonly reset: () => void;
}

/** So long that a client has read the headers: a reset on their heels makes it drop them, or take it for a plain end. */
const RESET_DELAY_MS = 20;
const HTML = '<!doctype html><title>Welcome</title><p>Please sign in to use this network.';
const BLANKS = ' '.repeat(65_536);

function begin({ request, response }: Exchange, status: number, headers: Readonly<Record<string, string>>): void {
  request.status = status;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export function send(exchange: Exchange, { status, headers, body }: Reply): void {
  begin(exchange, status, headers);
  exchange.response.end(body);
}

/** Begins the right answer, its full length promised, and gives back the bytes that are still to be sent. */
function beginInParts(exchange: Exchange): Buffer {
  const { status, headers, body } = exchange.answer;
  const bytes = Buffer.from(body);
  begin(exchange, status, { ...headers, 'content-length': String(bytes.length) });
  return bytes;
}

/** Acts in a while, unless the client has left or the server has stopped by then. */
export function later(response: ServerResponse, ms: number, act: () => void): void {
  const timer = setTimeout(act, ms);
  response.once('close', () => clearTimeout(timer));
}

function drip(response: ServerResponse, bytes: Buffer, intervalMs: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(bytes.subarray(sent, ++sent));
    if (sent === bytes.length) response.end();
  }, intervalMs);
  response.once('close', () => clearInterval(timer));
}

function* blanksBefore(body: string, bytes: number): Generator<string> {
  for (let left = bytes; left > 0; left -= BLANKS.length) yield BLANKS.slice(0, left);
  yield body;
}

export function misbehave(fault: Fault, exchange: Exchange): void {
  const { answer, response, reset } = exchange;
  switch (fault.kind) {
    case 'hang':
      return;
    case 'delay':
      later(response, fault.ms, () => send(exchange, answer));
      return;
    case 'reset-before-headers':
      reset();
      return;
    case 'reset-after-headers':
      beginInParts(exchange);
      // In an immediate, so that a client in this very process gets its turn to read even if the timer was held up.
      response.write('', () => later(response, RESET_DELAY_MS, () => setImmediate(reset)));
      return;
    case 'close-mid-body': {
      const bytes = beginInParts(exchange);
      response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
      return;
    }
    case 'drip':
      drip(response, beginInParts(exchange), fault.intervalMs ?? 10);
      return;
    case 'status': {
      const { status, retryAfter } = fault;
      const headers = retryAfter === undefined ? JSON_TYPE : { ...JSON_TYPE, 'retry-after': String(retryAfter) };
      send(exchange, { status, headers, body: errorBody(status) });
      return;
    }
    case 'redirect':
      send(exchange, { status: fault.status ?? 307, headers: { location: fault.location }, body: '' });
      return;
    case 'html':
      send(exchange, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: HTML });
      return;
    case 'truncated-json':
      send(exchange, { ...answer, body: answer.body.slice(0, answer.body.length / 2) });
      return;
    case 'wrong-shape':
      send(exchange, { status: 200, headers: JSON_TYPE, body: '{"ok":true}' });
      return;
    case 'huge-body':
      begin(exchange, answer.status, answer.headers);
      // It fails when the client leaves before the end, and well it may.
      pipeline(Readable.from(blanksBefore(answer.body, fault.bytes ?? 10_000_000)), response).catch(() => undefined);
      return;
    case 'wrong-content-type':
      send(exchange, { ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } });
      return;
    case 'raw':
      send(exchange, { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' });
      return;
  }
}
