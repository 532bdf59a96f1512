import type { Guard } from './guard.js';
import type { RouteOptions } from './options.js';
import type { Denial } from './problem.js';

/** What is needed of an `http.IncomingMessage`, or of one of HTTP/2. */
export interface NodeRequest {
  /** Names and values in turn, every header as often as it was sent. */
  readonly rawHeaders: readonly string[];
  readonly url?: string | undefined;
}

/** What says that a caller has left: an `http.ServerResponse`, or the socket of an upgrade. */
export interface Closable {
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** What is needed of an `http.ServerResponse`, or of one of HTTP/2. */
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
    // Most names are of another length, which takes less to see than to change their case.
    if (sent.length === name.length && sent.toLowerCase() === name) values.push(value);
  }
  return values;
}

/** Decides about a request of `node:http`. The wait, if there is one, ends when the caller leaves. */
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

/** Answers with a denial, unless somebody has answered in the meantime. */
export function answerNode(response: NodeResponse, { status, headers, body }: Denial): void {
  if (response.headersSent) return;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
