/** `keyverify/socket.io`: a middleware for a server or a namespace of Socket.IO. */
import type { ExtendedError } from 'socket.io';

import { fieldOf, isFunction, isObject } from '../core/schema.js';
import { proceed } from '../guard/decision.js';
import { createGuard } from '../guard/guard.js';
import { fromHandshake, type HandshakeSocket } from '../guard/handshake.js';
import { Identities } from '../guard/identities.js';
import { expectCall, misuse } from '../guard/misuse.js';
import { type Closable, untilClosed } from '../guard/node.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** A middleware for `io.use()`. */
export interface SocketAuth<Identity> {
  (socket: HandshakeSocket & { readonly conn: Closable }, next: (error?: ExtendedError) => void): void;
  /** The caller's identity. Throws for a socket that the middleware has not admitted. */
  readonly identityOf: (socket: object) => Identity;
}

/**
 * A middleware that admits only clients with a valid key, in a header or as `auth: { token: key }`. A denied client gets a
 * `connect_error`: the message is the reason, `data` has the problem details. An open socket stays open when its key is
 * revoked. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const auth = apiKeyAuth(verifier);
 * io.use(auth).on('connection', (socket) => {
 *   socket.emit('hello', auth.identityOf(socket).client);
 * });
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): SocketAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const identities = new Identities<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>();
  type Args = [...Parameters<SocketAuth<unknown>>, ofEngine?: (error: Error) => void];
  const middleware = (...[socket, next, ofEngine]: Args): void => {
    const isRight = isObject(fieldOf(socket, 'handshake'));
    // `io.engine.use(auth)` passes a request, and does not handle what a middleware throws.
    if (!isRight && isFunction(ofEngine)) {
      ofEngine(misuse('socket.io', 'io.use(), not io.engine.use()'));
      return;
    }
    expectCall(isRight, 'socket.io', 'a socket of Socket.IO');
    const decision = untilClosed(socket.conn, (signal) => guard(fromHandshake(socket, signal)));
    proceed(decision, (decided) => {
      if (decided.allowed) {
        identities.admit(socket, decided);
        next();
      } else next(Object.assign(new Error(decided.denial.reason), { data: decided.denial.content }));
    });
  };
  return Object.assign(middleware, { identityOf: (socket: object) => identities.of(socket) });
}
