/** `keyverify/ws`: a guard for the upgrade to a WebSocket. A denial is answered as HTTP, and no WebSocket is opened. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { WebSocket, WebSocketServer } from 'ws';

import { createGuard, proceed } from '../guard/guard.js';
import { subprotocols } from '../guard/key-sources.js';
import { guardNode } from '../guard/node.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';
import type { Denial } from '../guard/problem.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

function answer(socket: Duplex, { status, headers, body }: Denial): void {
  const length = String(new TextEncoder().encode(body).length);
  const all = Object.entries({ ...headers, 'content-length': length, connection: 'close' });
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} Denied\r\n${lines}\r\n${body}`);
}

/** A server answers with one of the subprotocols offered: a key must not be among them. */
function hideKey(request: IncomingMessage, { keyFrom = [] }: Pick<GuardOptions, 'keyFrom'>): void {
  const offered = request.headers['sec-websocket-protocol'];
  const prefixes = keyFrom.flatMap((from) =>
    typeof from === 'object' && 'subprotocol' in from ? from.subprotocol : [],
  );
  if (offered === undefined || prefixes.length === 0) return;
  const others = subprotocols([offered]).filter((name) => !prefixes.some((prefix) => name.startsWith(prefix)));
  if (others.length === 0) delete request.headers['sec-websocket-protocol'];
  else request.headers['sec-websocket-protocol'] = others.join(', ');
}

/**
 * `httpServer.on('upgrade', keyverify(verifier, wss, onConnection))` with a `wss` made with `noServer: true`: opens
 * nobody a WebSocket without a good key.
 */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  wss: WebSocketServer,
  onConnection: (
    webSocket: WebSocket,
    request: IncomingMessage,
    identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional>,
  ) => void,
  options: GuardOptions<ClaimsOf<V>, FailOpen, Optional> = {},
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const guard = createGuard(verifier, options);
  return (request, socket, head) => {
    // The socket has left the HTTP server's care: one that breaks during the wait would take the process with it.
    socket.on('error', () => socket.destroy());
    proceed(guardNode(guard, request, socket), (decision) => {
      if (!decision.allowed) {
        answer(socket, decision.denial);
        return;
      }
      hideKey(request, options);
      wss.handleUpgrade(request, socket, head, (webSocket) => onConnection(webSocket, request, decision.identity));
    });
  };
}
