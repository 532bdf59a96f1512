import { hasBearer } from './key-sources.js';
import { type Closable, fromNode, type NodeRequest } from './node.js';
import type { GuardRequest } from './request.js';

/** The parts of a Socket.IO socket that a guard reads. */
export interface HandshakeSocket {
  readonly handshake: {
    readonly headers: NodeRequest['headers'];
    readonly url?: string | undefined;
    /** What the client passed as `auth`. */
    readonly auth?: Readonly<Record<string, unknown>> | undefined;
  };
  /** The request that opened the connection. */
  readonly request?: NodeRequest | undefined;
  readonly conn?: Closable;
}

/** A handshake as a guard sees it: `auth: { token }`, with which a browser sends its key, counts as a bearer. */
export function fromHandshake({ handshake, request }: HandshakeSocket, signal?: () => AbortSignal): GuardRequest {
  const { headers, url, auth } = handshake;
  const read = fromNode({ headers, url, rawHeaders: request?.rawHeaders }, signal);
  const token = auth?.['token'];
  if (typeof token !== 'string') return read;
  const header = (name: string): readonly string[] => {
    const sent = read.header(name);
    // A scheme for somebody else on the way is no second key.
    return name === 'authorization' ? [...sent.filter(hasBearer), `Bearer ${token}`] : sent;
  };
  return { ...read, header };
}
