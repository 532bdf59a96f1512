/** `keyverify/fetch`: for handlers from `Request` to `Response`: Workers, Bun, Deno, Next.js, SvelteKit, Remix. */
import { fieldOf, isFunction } from '../core/schema.js';
import type { Decision } from '../guard/decision.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import { expectCall, isFetchRequest } from '../guard/misuse.js';
import { checkHandler, type GuardOptions, type IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { Decision } from '../guard/decision.js';
export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Keeps a worker alive after its response: its `ctx` or its event. */
export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

/** The two ways to guard a fetch handler. */
export interface FetchAuth<Identity> {
  /** Wraps a handler, which gets the request, the identity, and then what the runtime passes (`env`, `ctx`, ...). */
  readonly protect: <Rest extends readonly unknown[]>(
    handler: (request: Request, identity: Identity, ...rest: Rest) => Response | Promise<Response>,
  ) => (request: Request, ...rest: Rest) => Promise<Response>;
  /**
   * For loaders and route handlers: the identity of the caller, or the response to return instead. Never rejects.
   *
   * @example
   * ```ts
   * const decision = await authenticate(request);
   * if (!decision.allowed) return decision.denial;
   * return Response.json({ tenant: decision.identity.tenant });
   * ```
   */
  readonly authenticate: (request: Request, context?: ExecutionContext) => Promise<Decision<Identity, Response>>;
}

function isExecutionContext(value: unknown): value is ExecutionContext {
  return isFunction(fieldOf(value, 'waitUntil'));
}

/**
 * Guards fetch handlers: they run only for requests with a valid key. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const { protect } = apiKeyAuth(verifier);
 *
 * export const GET = protect((request, identity) => Response.json({ tenant: identity.tenant }));
 * ```
 *
 * @example A worker that gets its bindings with the first request
 * ```ts
 * let env: Env;
 * const { protect } = apiKeyAuth(
 *   () => new KeyVerifier({ verifyUrl: env.KEYVERIFY_URL, serviceToken: env.KEYVERIFY_SERVICE_TOKEN }),
 * );
 * const handler = protect((_request, identity, _bindings: Env, _ctx: ExecutionContext) =>
 *   Response.json({ tenant: identity.tenant }),
 * );
 *
 * export default {
 *   fetch(request: Request, bindings: Env, ctx: ExecutionContext) {
 *     env = bindings;
 *     return handler(request, bindings, ctx);
 *   },
 * };
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): FetchAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const authenticate: FetchAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>['authenticate'] = async (
    request,
    context,
  ) => {
    const waitUntil = context && ((work: Promise<unknown>) => context.waitUntil(work));
    const decision = await guard(fromRequest(request, waitUntil));
    return decision.allowed ? decision : { allowed: false, denial: toResponse(decision.denial, request) };
  };
  return {
    authenticate,
    protect(handler) {
      checkHandler('handler', handler);
      return (request, ...rest) => {
        expectCall(isFetchRequest(request), 'fetch', 'a Request');
        return authenticate(request, rest.find(isExecutionContext)).then(async (decision) =>
          decision.allowed ? await handler(request, decision.identity, ...rest) : decision.denial,
        );
      };
    },
  };
}
