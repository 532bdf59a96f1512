/** `keyverify/hono`: a middleware that sets `c.var.identity`. */
import type { Context, MiddlewareHandler } from 'hono';

import { fieldOf, isFunction } from '../core/schema.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import { expectCall, isFetchRequest } from '../guard/misuse.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Only workers have an execution context; elsewhere the getter throws. */
function waitUntilOf(c: Context): ((work: Promise<unknown>) => void) | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    return undefined;
  }
}

/** Set by the middleware `hono/request-id`, if that has run. */
function honoRequestId(c: Context): string | undefined {
  const id: unknown = c.get('requestId');
  return typeof id === 'string' ? id : undefined;
}

/**
 * A middleware that admits only requests with a valid key, and sets `c.var.identity`. Throws `InvalidOptionsError` for wrong
 * options.
 *
 * @example
 * ```ts
 * const app = new Hono()
 *   .use(apiKeyAuth(verifier))
 *   .get('/orders', (c) => c.json({ tenant: c.var.identity.tenant }));
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): MiddlewareHandler<{ Variables: { identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> } }> {
  const guard = createGuard(verifier, options);
  const admit: MiddlewareHandler<{ Variables: { identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> } }> = async (
    c,
    next,
  ) => {
    const decision = await guard(fromRequest(c.req.raw, waitUntilOf(c), honoRequestId(c)));
    if (!decision.allowed) return toResponse(decision.denial, c.req.raw);
    c.set('identity', decision.identity);
    await next();
    return undefined;
  };
  return (c, next) => {
    expectCall(isFetchRequest(fieldOf(c.req, 'raw')) && isFunction(next), 'hono', 'a context and next() of Hono');
    return admit(c, next);
  };
}
