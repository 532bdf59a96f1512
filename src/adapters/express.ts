/** `keyverify/express`: a guard for Express 4 and 5, for connect, and for a plain `node:http` server. */
import { createGuard, proceed } from '../guard/guard.js';
import { answerNode, guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';
import type { Verified } from '../core/result.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** Where the compiler can't see which guard has run, if any. */
type Unknown = Verified | null | undefined;

/** The identity that the guard in the same chain of handlers has left: Express infers it through `res.locals`. */
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
       * Who is calling. `app.get(path, keyverify(verifier), handler)` tells the compiler that there is somebody;
       * behind `app.use(keyverify(verifier))` it can't know and makes you ask.
       */
      identity: IdentityIn<this>;
    }
  }
}

type Handler<Response> = (req: NodeRequest, res: Response, next: (error?: unknown) => void) => void;

/** A middleware that leaves the caller's identity in `req.identity` and in `res.locals.identity`. */
export type Middleware<Identity> = Handler<NodeResponse> & Handler<NodeResponse & { locals: { identity: Identity } }>;

/** Lets nobody past without a good key: `app.use(keyverify(verifier))`, or before a handler. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Middleware<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  return (req: NodeRequest, res: NodeResponse & { locals?: object }, next: () => void): void => {
    proceed(guardNode(guard, req, res), (decision) => {
      if (!decision.allowed) {
        answerNode(res, decision.denial);
        return;
      }
      const { identity } = decision;
      Object.assign(req, { identity });
      if (res.locals !== undefined) Object.assign(res.locals, { identity });
      next();
    });
  };
}

/** A listener for `http.createServer()`: the handler gets the caller's identity, and is not called without it. */
export function listener<
  V extends AnyVerifier,
  Req extends NodeRequest,
  Res extends NodeResponse,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  handler: (req: Req, res: Res, identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional>) => void | Promise<void>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): (req: Req, res: Res) => void {
  const guard = createGuard(verifier, options);
  return (req, res) => {
    proceed(guardNode(guard, req, res), (decision) => {
      if (!decision.allowed) answerNode(res, decision.denial);
      else return handler(req, res, decision.identity);
    });
  };
}
