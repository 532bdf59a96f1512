/** `keyverify/express`: a middleware for Express 4 and 5, and for connect. */
import { isFunction } from '../core/schema.js';
import { proceed } from '../guard/decision.js';
import { createGuard } from '../guard/guard.js';
import { Identities } from '../guard/identities.js';
import { guardNode, type NodeRequest, type NodeResponse, sendDenial } from '../guard/node.js';
import { expectCall, misuse, isNodeRequest, isNodeResponse } from '../guard/misuse.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

type Handler<Response> = (req: NodeRequest, res: Response, next: (error?: unknown) => void) => void;

/** A middleware that sets `res.locals.identity`, which is typed for the handlers after it in the same chain. */
export type Middleware<Identity> = Handler<NodeResponse> &
  Handler<NodeResponse & { locals: { identity: Identity } }> & {
    /** The caller's identity, in any later handler. Throws for a request that the middleware has not admitted. */
    readonly identityOf: (req: object) => Identity;
  };

/**
 * A middleware that admits only requests with a valid key. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * app.get('/orders', apiKeyAuth(verifier), (req, res) => {
 *   res.json({ tenant: res.locals.identity.tenant });
 * });
 * ```
 *
 * @example For all routes below
 * ```ts
 * const auth = apiKeyAuth(verifier);
 * app.use(auth);
 * app.get('/orders', (req, res) => {
 *   res.json({ tenant: auth.identityOf(req).tenant });
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
): Middleware<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const identities = new Identities<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>();
  const middleware = (req: NodeRequest, res: NodeResponse & { locals?: object }, next: () => void): void => {
    expectCall(isNodeRequest(req) && isNodeResponse(res), 'express', 'a request and a response of Express');
    // `createServer(apiKeyAuth(verifier))`: nobody handles what a listener throws.
    if (!isFunction(next)) {
      res.statusCode = 500;
      res.end(misuse('express', 'next() of Express').message);
      return;
    }
    proceed(guardNode(guard, req, res), (decision) => {
      if (!decision.allowed) {
        sendDenial(res, decision.denial);
        return;
      }
      identities.admit(req, decision);
      if (res.locals !== undefined) Object.assign(res.locals, { identity: decision.identity });
      next();
    });
  };
  return Object.assign(middleware, { identityOf: (req: object) => identities.of(req) });
}
