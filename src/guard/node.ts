import type { Guard } from './decision.js';
import type { Denial } from './denial.js';
import type { RouteOptions } from './options.js';
import type { GuardRequest } from './request.js';

/** The parts of an `http.IncomingMessage` that a guard reads; a request of HTTP/2 and those that shims make have them, too. */
export interface NodeRequest {
  /** By name in lower case. They decide: middleware may have changed them, and shims fill only these. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Names and values in turn, every header as often as it was sent. They tell only which came twice. */
  readonly rawHeaders?: readonly string[] | undefined;
  readonly url?: string | undefined;
  /** The id that Fastify, or a middleware, gave the request. */
  readonly id?: unknown;
}

/** Emits `close` when the caller leaves: an `http.ServerResponse`, or the socket of an upgrade. */
export interface Closable {
  /** Whether it has closed already, where it says so. */
  readonly destroyed?: boolean | undefined;
  once(event: 'close', listener: () => void): unknown;
  removeListener(event: 'close', listener: () => void): unknown;
}

/** The parts of an `http.ServerResponse` that a denial is written to; a response of HTTP/2 has them, too. */
export interface NodeResponse extends Closable {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Every value of a header. Node keeps the first `Authorization` of several, so what was sent is counted. */
function valuesOf({ headers, rawHeaders = [] }: NodeRequest, name: string): readonly string[] {
  const value: unknown = headers[name];
  if (typeof value !== 'string' && !Array.isArray(value)) return [];
  if (timesSent(rawHeaders, name) > 1)
    return rawHeaders.flatMap((_, at) =>
      at % 2 === 0 && isName(rawHeaders, at, name) ? [rawHeaders[at + 1] ?? ''] : [],
    );
  return typeof value === 'string' ? [value] : value.map(String);
}

function timesSent(rawHeaders: readonly string[], name: string): number {
  let times = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) if (isName(rawHeaders, at, name)) times++;
  return times;
}

/** Most names have another length: cheaper to compare than to lower the case of each. */
function isName(rawHeaders: readonly string[], at: number, name: string): boolean {
  const rawName = rawHeaders[at];
  return rawName?.length === name.length && rawName.toLowerCase() === name;
}

/** A request of `node:http` as a guard sees it. */
export function fromNode(request: NodeRequest, signal?: () => AbortSignal): GuardRequest {
  const { url = '', id } = request;
  const requestId = typeof id === 'string' ? id : undefined;
  return { header: (name) => valuesOf(request, name), url, requestId, signal };
}

/** Decides about a request of `node:http`. A wait ends when the caller leaves. */
export function guardNode<Identity>(
  guard: Guard<Identity>,
  request: NodeRequest,
  caller: Closable,
  route?: RouteOptions,
): ReturnType<Guard<Identity>> {
  return untilClosed(caller, (signal) => guard(fromNode(request, signal), route));
}

/** Decides with a signal that aborts when the caller leaves. */
export function untilClosed<Identity>(
  caller: Closable,
  decide: (signal: () => AbortSignal) => ReturnType<Guard<Identity>>,
): ReturnType<Guard<Identity>> {
  let left: AbortController | undefined;
  const decision = decide(() => (left ??= wait(caller)).signal);
  if (!(decision instanceof Promise)) return decision;
  return decision.finally(() => left && stopWaiting(caller, left));
}

interface Waiting {
  readonly all: Set<AbortController>;
  readonly onClose: () => void;
}

/** Those who wait, by caller. One connection may carry many calls: Node warns of a leak from the eleventh listener on. */
const waitingFor = new WeakMap<Closable, Waiting>();

function wait(caller: Closable): AbortController {
  const left = new AbortController();
  if (caller.destroyed === true) left.abort();
  else (waitingFor.get(caller) ?? listen(caller)).all.add(left);
  return left;
}

function listen(caller: Closable): Waiting {
  const all = new Set<AbortController>();
  const onClose = (): void => all.forEach((left) => left.abort());
  const waiting = { all, onClose };
  waitingFor.set(caller, waiting);
  caller.once('close', onClose);
  return waiting;
}

function stopWaiting(caller: Closable, left: AbortController): void {
  const waiting = waitingFor.get(caller);
  waiting?.all.delete(left);
  if (waiting?.all.size !== 0) return;
  caller.removeListener('close', waiting.onClose);
  waitingFor.delete(caller);
}

/** Sends a denial, unless something else has answered in the meantime. */
export function sendDenial(response: NodeResponse, { status, headers, body }: Denial): void {
  if (response.headersSent) return;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
