/** `keyverify/express`: a middleware for Express 4 and 5, and for connect. */
import type { Verified } from '../core/result.js';
import { proceed } from '../guard/decision.js';
import { createGuard } from '../guard/guard.js';
import { guardNode, type NodeRequest, type NodeResponse, sendDenial } from '../guard/node.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Where the compiler can't see which guard has run, if any. */
type Unknown = Verified | null | undefined;

/** The identity that the guard in the same chain of handlers has set: Express infers it through `res.locals`. */
type IdentityIn<Request> = Request extends { readonly res?: infer Response }
  ? NonNullable<Response> extends { readonly locals: { readonly identity: infer Identity } }
    ? Identity
    : Unknown
  : Unknown;

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how the types of Express are extended
  namespace Express {
    interface Request {
      /**
       * The caller. Its type is known in `app.get(path, apiKeyAuth(verifier), handler)`. Behind
       * `app.use(apiKeyAuth(verifier))` the compiler can't see the guard, so `null` and `undefined` are in the type.
       */
      identity: IdentityIn<this>;
    }
  }
}

type Handler<Response> = (req: NodeRequest, res: Response, next: (error?: unknown) => void) => void;

/** A middleware that sets `req.identity` and `res.locals.identity`. */
export type Middleware<Identity> = Handler<NodeResponse> & Handler<NodeResponse & { locals: { identity: Identity } }>;

/**
 * A middleware that admits requests with a valid key and sets `req.identity`. Throws `InvalidOptionsError`.
 *
 * @example
 * ```ts
 * app.get('/orders', apiKeyAuth(verifier), (req, res) => {
 *   res.json({ tenant: req.identity.tenant });
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
  return (req: NodeRequest, res: NodeResponse & { locals?: object }, next: () => void): void => {
    proceed(guardNode(guard, req, res), (decision) => {
      if (!decision.allowed) {
        sendDenial(res, decision.denial);
        return;
      }
      const { identity } = decision;
      Object.assign(req, { identity });
      if (res.locals !== undefined) Object.assign(res.locals, { identity });
      next();
    });
  };
}
