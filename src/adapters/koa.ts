/** `keyverify/koa`: a middleware that leaves the caller's identity in `ctx.state.identity`. */
import type { Middleware } from 'koa';

import { createGuard } from '../guard/guard.js';
import { guardNode } from '../guard/node.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** Lets nobody past without a good key: `app.use(keyverify(verifier)).use(handler)`, and the handler is typed by it. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Middleware<{ identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> }> {
  const guard = createGuard(verifier, options);
  return async (ctx, next) => {
    const decision = await guardNode(guard, ctx.req, ctx.res);
    if (decision.allowed) {
      ctx.state.identity = decision.identity;
      await next();
      return;
    }
    const { status, headers, body } = decision.denial;
    ctx.status = status;
    ctx.set(headers);
    ctx.body = body;
  };
}
