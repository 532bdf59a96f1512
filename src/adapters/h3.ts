/** `keyverify/h3`: a middleware for h3 1 and 2, and so for Nitro and Nuxt. */
import { isObject } from '../core/schema.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import { Identities } from '../guard/identities.js';
import { expectCall, isFetchRequest, isNodeRequest, isNodeResponse } from '../guard/misuse.js';
import { guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** An event: `req` is a `Request` in h3 2, and `node` has the request and the response of Node in h3 1. */
export interface H3Event {
  readonly context: object;
  readonly req?: unknown;
  readonly node?: unknown;
}

interface NodeExchange {
  readonly req: NodeRequest & { readonly method?: string | undefined };
  readonly res: NodeResponse;
}

const isExchange = (node: unknown): node is NodeExchange =>
  isObject(node) && 'req' in node && 'res' in node && isNodeRequest(node.req) && isNodeResponse(node.res);

/** A middleware for `app.use()`, and for a file in `server/middleware/`. */
export interface H3Auth<Identity> {
  (event: H3Event): Promise<Response | undefined>;
  /** The caller's identity. Throws for an event that the middleware has not admitted. */
  readonly identityOf: (event: H3Event) => Identity;
}

/**
 * A middleware that admits only requests with a valid key. h3 1 calls no middleware before it opens a WebSocket: guard that in
 * its `upgrade` hook. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const auth = apiKeyAuth(verifier);
 * const app = new H3().use(auth).get('/orders', (event) => ({ tenant: auth.identityOf(event).tenant }));
 * ```
 *
 * @example Nitro and Nuxt, in `server/middleware/auth.ts`
 * ```ts
 * export const auth = apiKeyAuth(() => new KeyVerifier());
 * export default defineEventHandler(auth);
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): H3Auth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const identities = new Identities<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>();
  const admit = async (
    event: H3Event,
    request: Request | NodeExchange['req'],
    decided: ReturnType<typeof guard>,
  ): Promise<Response | undefined> => {
    const decision = await decided;
    if (!decision.allowed) return toResponse(decision.denial, request);
    identities.admit(event.context, decision);
    return undefined;
  };
  const middleware: (event: H3Event) => Promise<Response | undefined> = (event) => {
    const { req, node } = event;
    if (isFetchRequest(req)) return admit(event, req, guard(fromRequest(req)));
    expectCall(isExchange(node), 'h3', 'an event of h3');
    return admit(event, node.req, guardNode(guard, node.req, node.res));
  };
  return Object.assign(middleware, { identityOf: (event: H3Event) => identities.of(event.context) });
}
