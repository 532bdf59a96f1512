/** `keyverify/nest`: a guard, and a decorator for the parameter that takes the caller's identity. */
import { type CanActivate, createParamDecorator, type ExecutionContext, HttpException } from '@nestjs/common';

import type { Verified } from '../core/result.js';
import { createGuard } from '../guard/guard.js';
import { guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { GuardOptions } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Express hands on the request of Node, Fastify wraps it. */
interface NestRequest extends NodeRequest {
  readonly raw?: NodeRequest;
  readonly identity?: Verified | null;
}

interface NestResponse extends NodeResponse {
  readonly raw?: NodeResponse;
  header(name: string, value: string): unknown;
}

/**
 * A guard for one route, one controller, or with `app.useGlobalGuards(apiKeyAuth(verifier))` for all of them.
 * Throws `InvalidOptionsError`.
 *
 * @example
 * ```ts
 * @Get('/orders')
 * @UseGuards(apiKeyAuth(verifier))
 * orders(@Identity() identity: Verified) {
 *   return { tenant: identity.tenant };
 * }
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(verifier: VerifierSource<V>, options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>): CanActivate {
  const guard = createGuard(verifier, options);
  return {
    async canActivate(context) {
      const request = context.switchToHttp().getRequest<NestRequest>();
      const response = context.switchToHttp().getResponse<NestResponse>();
      const decision = await guardNode(guard, request.raw ?? request, response.raw ?? response);
      if (!decision.allowed) {
        const { status, headers, body, content } = decision.denial;
        for (const [name, value] of Object.entries(headers)) response.header(name, value);
        throw new HttpException(typeof content === 'object' && content !== null ? content : body, status);
      }
      Object.assign(request, { identity: decision.identity });
      return true;
    },
  };
}

/**
 * The caller, as a parameter of a handler: `@Identity() identity: Verified`. Write `Verified | null` where the guard is
 * optional or may fail open. Throws, which is a 500, where no guard has run.
 */
export const Identity = createParamDecorator((_: unknown, context: ExecutionContext): Verified | null => {
  const { identity } = context.switchToHttp().getRequest<NestRequest>();
  if (identity === undefined) throw new Error('keyverify: no guard has run for this route');
  return identity;
});
