/** `keyverify/ws`: a guard for the upgrade to a WebSocket. A denial is an HTTP response; no WebSocket is opened. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { WebSocket, WebSocketServer } from 'ws';

import { proceed } from '../guard/decision.js';
import { InvalidOptionsError } from '../core/errors.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
import { subprotocols } from '../guard/key-sources.js';
import { expectCall, isNodeRequest, isNodeSocket } from '../guard/misuse.js';
import { guardNode } from '../guard/node.js';
import { checkHandler, type GuardOptions, type IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

function writeDenial(socket: Duplex, { status, headers, body }: Denial): void {
  const length = String(new TextEncoder().encode(body).length);
  const all = Object.entries({ ...headers, 'content-length': length, connection: 'close' });
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} Denied\r\n${lines}\r\n${body}`);
}

/** Nothing reads the socket before the decision, so its end would go unnoticed. Reading 0 bytes takes nothing from it. */
function watchEnd(socket: Duplex): () => void {
  const onReadable = (): void => void socket.read(0);
  const onEnd = (): void => void socket.destroy();
  socket.on('readable', onReadable).on('end', onEnd);
  return () => void socket.off('readable', onReadable).off('end', onEnd);
}

/** A server answers with one of the offered subprotocols: that must not be the key. */
function hideKey(request: IncomingMessage, { keySources = [] }: Pick<GuardOptions, 'keySources'>): void {
  const offered = request.headers['sec-websocket-protocol'];
  const prefixes = keySources.flatMap((source) =>
    typeof source === 'object' && source.subprotocol !== undefined ? source.subprotocol : [],
  );
  if (offered === undefined || prefixes.length === 0) return;
  const others = subprotocols([offered]).filter((name) => !prefixes.some((prefix) => name.startsWith(prefix)));
  if (others.length === 0) delete request.headers['sec-websocket-protocol'];
  else request.headers['sec-websocket-protocol'] = others.join(', ');
}

/**
 * A listener for `upgrade` that opens a WebSocket only for requests with a valid key, and calls `onConnection` with the
 * caller's identity. An error of the WebSocket, such as a broken frame, closes it; listen to its `error` event to see it.
 * Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const wss = new WebSocketServer({ noServer: true });
 *
 * httpServer.on('upgrade', apiKeyAuth(verifier, wss, (socket, request, identity) => {
 *   socket.send(`Hello ${identity.client}`);
 * }));
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  wss: WebSocketServer,
  onConnection: (
    webSocket: WebSocket,
    request: IncomingMessage,
    identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional>,
  ) => void,
  options: GuardOptions<ClaimsOf<V>, FailOpen, Optional> = {},
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const guard = createGuard(verifier, options);
  // Any other server would open the socket itself, before there is a decision.
  if (wss.options.noServer !== true) throw new InvalidOptionsError(['wss: expected a server with noServer: true']);
  checkHandler('onConnection', onConnection);
  return (request, socket, head) => {
    const isUpgrade = isNodeRequest(request) && isNodeSocket(socket);
    expectCall(isUpgrade, 'ws', "a request and its socket, from the event 'upgrade'");
    // The HTTP server no longer handles this socket: an error of it during the wait would end the process.
    socket.on('error', () => socket.destroy());
    const unwatch = watchEnd(socket);
    proceed(guardNode(guard, request, socket), (decision) => {
      unwatch();
      if (!decision.allowed) {
        writeDenial(socket, decision.denial);
        return;
      }
      hideKey(request, options);
      wss.handleUpgrade(request, socket, head, (webSocket) => {
        // `ws` closes a socket by itself that it can't read. Without a listener, one broken frame would end the process.
        webSocket.on('error', () => undefined);
        onConnection(webSocket, request, decision.identity);
      });
    });
  };
}
