/** `keyverify/hono`: a middleware that leaves the caller's identity in `c.var.identity`. */
import type { Context, MiddlewareHandler } from 'hono';

import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** Only workers have an execution context, and elsewhere to ask for it throws. */
function waitUntilOf(c: Context): ((work: Promise<unknown>) => void) | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    return undefined;
  }
}

/** Lets nobody past without a good key: `app.use(keyverify(verifier))`, or before a handler. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): MiddlewareHandler<{ Variables: { identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> } }> {
  const guard = createGuard(verifier, options);
  return async (c, next) => {
    const decision = await guard(fromRequest(c.req.raw, waitUntilOf(c)));
    if (!decision.allowed) return toResponse(decision.denial, c.req.raw);
    c.set('identity', decision.identity);
    await next();
    return undefined;
  };
}
