import type { Guard } from './decision.js';
import type { Denial } from './denial.js';
import type { RouteOptions } from './options.js';

/** The parts of an `http.IncomingMessage` that a guard reads; a request of HTTP/2 has them, too. */
export interface NodeRequest {
  /** Names and values in turn, every header as often as it was sent. */
  readonly rawHeaders: readonly string[];
  readonly url?: string | undefined;
}

/** Emits `close` when the caller leaves: an `http.ServerResponse`, or the socket of an upgrade. */
export interface Closable {
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** The parts of an `http.ServerResponse` that a denial is written to; a response of HTTP/2 has them, too. */
export interface NodeResponse extends Closable {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Every value of a header, from names and values in turn. */
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [sent = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]];
    // Most names have another length: cheaper to compare than to lower the case of each.
    if (sent.length === name.length && sent.toLowerCase() === name) values.push(value);
  }
  return values;
}

/** Decides about a request of `node:http`. A wait ends when the caller leaves. */
export function guardNode<Identity>(
  guard: Guard<Identity>,
  request: NodeRequest,
  caller: Closable,
  route?: RouteOptions,
): ReturnType<Guard<Identity>> {
  let left: AbortController | undefined;
  const leave = (): void => left?.abort();
  const signal = (): AbortSignal => {
    left = new AbortController();
    caller.once('close', leave);
    return left.signal;
  };
  const decision = guard(
    { header: (name) => valuesOf(request.rawHeaders, name), url: request.url ?? '', signal },
    route,
  );
  if (left === undefined || !(decision instanceof Promise)) return decision;
  return decision.finally(() => caller.off('close', leave));
}

/** Sends a denial, unless something else has answered in the meantime. */
export function sendDenial(response: NodeResponse, { status, headers, body }: Denial): void {
  if (response.headersSent) return;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
