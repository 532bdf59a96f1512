/** `keyverify/nest`: a guard, and a decorator for the parameter that takes the caller's identity. */
import { type CanActivate, createParamDecorator, type ExecutionContext, HttpException } from '@nestjs/common';

import { createGuard } from '../guard/guard.js';
import { guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions } from '../guard/options.js';
import type { Verified } from '../core/result.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** The requests of Express are those of Node, the requests of Fastify wrap them. */
interface NestRequest extends NodeRequest {
  readonly raw?: NodeRequest;
  readonly identity?: Verified | null;
}

interface NestResponse extends NodeResponse {
  readonly raw?: NodeResponse;
  header(name: string, value: string): unknown;
}

/** Lets nobody past without a good key: `@UseGuards(keyverify(verifier))`, or `app.useGlobalGuards(keyverify(verifier))`. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(verifier: V, options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>): CanActivate {
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
 * The caller, as a parameter of a handler: `@Identity() identity: Verified`, with `| null` where the guard is optional
 * or may fail open. Without a guard there is no caller, and it throws.
 */
export const Identity = createParamDecorator((_: unknown, context: ExecutionContext): Verified | null => {
  const { identity } = context.switchToHttp().getRequest<NestRequest>();
  if (identity === undefined) throw new Error('keyverify: no guard has run for this route');
  return identity;
});
