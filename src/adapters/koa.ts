/** `keyverify/koa`: a middleware that sets `ctx.state.identity`. */
import type { Middleware } from 'koa';

import { isFunction } from '../core/schema.js';
import { createGuard } from '../guard/guard.js';
import { expectCall, isNodeRequest, isNodeResponse } from '../guard/misuse.js';
import { guardNode } from '../guard/node.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/**
 * A middleware that admits only requests with a valid key, and sets `ctx.state.identity`. Throws `InvalidOptionsError` for
 * wrong options.
 *
 * @example
 * ```ts
 * const app = new Koa().use(apiKeyAuth(verifier)).use((ctx) => {
 *   ctx.body = { tenant: ctx.state.identity.tenant };
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
): Middleware<{ identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> }> {
  const guard = createGuard(verifier, options);
  type Args = Parameters<Middleware<{ identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> }>>;
  const admit = async (...[ctx, next]: Args): Promise<void> => {
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
  return (ctx, next) => {
    expectCall(
      isNodeRequest(ctx.req) && isNodeResponse(ctx.res) && isFunction(next),
      'koa',
      'a context and next() of Koa',
    );
    return admit(ctx, next);
  };
}
