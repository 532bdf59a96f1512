import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { JSON_TYPE, errorBody, type ContractReply, type ServerReply } from './endpoint.js';
import type { LoggedRequest } from './log.js';

/** What can go wrong with a response. The request has been read in full, and is in the log. */
export type Fault =
  /** Never answers. The connection stays open until the client leaves or the server stops. */
  | { readonly kind: 'hang' }
  /** Sends the right answer after `ms` milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Resets the connection (TCP RST) instead of an answer. */
  | { readonly kind: 'reset-before-headers' }
  /** Sends status and headers of the right answer, then resets the connection. */
  | { readonly kind: 'reset-after-headers' }
  /** Sends the right answer up to the middle of its body, then closes the connection normally. */
  | { readonly kind: 'close-mid-body' }
  /** Sends the right answer's body byte by byte, one every `intervalMs` milliseconds. Default: 10. */
  | { readonly kind: 'drip'; readonly intervalMs?: number | undefined }
  /** Answers with this status, e.g. 401, 429 or 503. `retryAfter` is a number of seconds or an HTTP date. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number | string | undefined }
  /** Redirects to `location`. Default status: 307, which keeps method and body. */
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number | undefined }
  /** Answers 200 with a page of HTML, as a captive portal or a proxy does. */
  | { readonly kind: 'html' }
  /** Answers with the first half of the right JSON, and the `Content-Length` of that half. */
  | { readonly kind: 'truncated-json' }
  /** Answers 200 with JSON that is not a verdict. */
  | { readonly kind: 'wrong-shape' }
  /** Answers with the right JSON after `bytes` bytes of whitespace, chunked. Default: 10 MB (10 000 000 bytes). */
  | { readonly kind: 'huge-body'; readonly bytes?: number | undefined }
  /** Answers with the right JSON as `text/plain`. */
  | { readonly kind: 'wrong-content-type' }
  /** Answers with exactly this. */
  | {
      readonly kind: 'raw';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>> | undefined;
      readonly body?: string | Uint8Array | undefined;
    };

/** A request that waits for its reply. */
export interface PendingReply {
  readonly request: LoggedRequest;
  readonly response: ServerResponse;
  readonly reply: ContractReply;
  /** Resets the TCP connection, under TLS as well. */
  readonly reset: () => void;
}

/** Long enough for a client to read the headers: with a reset right behind them, it may drop them. */
const RESET_DELAY_MS = 20;
const HTML = '<!doctype html><title>Welcome</title><p>Please sign in to use this network.';
const BLANKS = ' '.repeat(65_536);

function begin({ request, response }: PendingReply, status: number, headers: Readonly<Record<string, string>>): void {
  request.status = status;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

export function send(pending: PendingReply, { status, headers, body }: ServerReply): void {
  begin(pending, status, headers);
  pending.response.end(body);
}

/** Begins the right answer, with its full length in the headers, and returns the bytes that are still to be sent. */
function beginInParts(pending: PendingReply): Buffer {
  const { status, headers, body } = pending.reply;
  const bytes = Buffer.from(body);
  begin(pending, status, { ...headers, 'content-length': String(bytes.length) });
  return bytes;
}

/** Runs `run` after `ms`, unless the connection closes first. */
export function later(response: ServerResponse, ms: number, run: () => void): void {
  const timer = setTimeout(run, ms);
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

export function applyFault(fault: Fault, pending: PendingReply): void {
  const { reply, response, reset } = pending;
  switch (fault.kind) {
    case 'hang':
      return;
    case 'delay':
      later(response, fault.ms, () => send(pending, reply));
      return;
    case 'reset-before-headers':
      reset();
      return;
    case 'reset-after-headers':
      beginInParts(pending);
      // In an immediate, so that a client in this process can read first even if the timer is late.
      response.write('', () => later(response, RESET_DELAY_MS, () => setImmediate(reset)));
      return;
    case 'close-mid-body': {
      const bytes = beginInParts(pending);
      response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
      return;
    }
    case 'drip':
      drip(response, beginInParts(pending), fault.intervalMs ?? 10);
      return;
    case 'status': {
      const { status, retryAfter } = fault;
      const headers = retryAfter === undefined ? JSON_TYPE : { ...JSON_TYPE, 'retry-after': String(retryAfter) };
      send(pending, { status, headers, body: errorBody(status) });
      return;
    }
    case 'redirect':
      send(pending, { status: fault.status ?? 307, headers: { location: fault.location }, body: '' });
      return;
    case 'html':
      send(pending, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: HTML });
      return;
    case 'truncated-json':
      send(pending, { ...reply, body: reply.body.slice(0, reply.body.length / 2) });
      return;
    case 'wrong-shape':
      send(pending, { status: 200, headers: JSON_TYPE, body: '{"ok":true}' });
      return;
    case 'huge-body':
      begin(pending, reply.status, reply.headers);
      // It fails when the client leaves before the end.
      pipeline(Readable.from(blanksBefore(reply.body, fault.bytes ?? 10_000_000)), response).catch(() => undefined);
      return;
    case 'wrong-content-type':
      send(pending, { ...reply, headers: { ...reply.headers, 'content-type': 'text/plain' } });
      return;
    case 'raw':
      send(pending, { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' });
      return;
  }
}
