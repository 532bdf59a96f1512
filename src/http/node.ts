import type { Decision, Guard } from './guard.js';
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
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** Decides about a request of `node:http`. The wait ends when the caller leaves. */
export async function guardNode<Identity>(
  guard: Guard<Identity>,
  request: NodeRequest,
  caller: Closable,
  route?: RouteOptions,
): Promise<Decision<Identity>> {
  const left = new AbortController();
  const leave = (): void => left.abort();
  caller.once('close', leave);
  const decision = await guard(
    { header: (name) => valuesOf(request.rawHeaders, name), url: request.url ?? '', signal: left.signal },
    route,
  );
  caller.off('close', leave);
  return decision;
}

/** Answers with a denial, unless somebody has answered in the meantime. */
export function answerNode(response: NodeResponse, { status, headers, body }: Denial): void {
  if (response.headersSent) return;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
