/** `keyverify/h3`: a middleware for h3 1 and 2, and so for Nitro and Nuxt. */
import { isFunction, isObject } from '../core/schema.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import { Identities } from '../guard/identities.js';
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

/** A field named `get` is not enough: in Node's headers, every name may come from the caller. */
const isRequest = (req: unknown): req is Request =>
  isObject(req) && 'headers' in req && isObject(req.headers) && isFunction(Reflect.get(req.headers, 'get'));
const isExchange = (node: unknown): node is NodeExchange => isObject(node) && 'req' in node && 'res' in node;

function unknownEvent(): never {
  throw new TypeError('keyverify: expected an event of h3');
}

/** A middleware for `app.use()`, and for a file in `server/middleware/`. */
export interface H3Auth<Identity> {
  (event: H3Event): Promise<Response | undefined>;
  /** The caller's identity. Throws for an event that the middleware has not admitted. */
  readonly identityOf: (event: H3Event) => Identity;
}

/**
 * A middleware that admits only requests with a valid key. Throws `InvalidOptionsError` for wrong options.
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
  const middleware = async (event: H3Event): Promise<Response | undefined> => {
    const { req, node } = event;
    const [request, decided] = isRequest(req)
      ? [req, guard(fromRequest(req))]
      : isExchange(node)
        ? [node.req, guardNode(guard, node.req, node.res)]
        : unknownEvent();
    const decision = await decided;
    if (!decision.allowed) return toResponse(decision.denial, request);
    identities.admit(event.context, decision);
    return undefined;
  };
  return Object.assign(middleware, { identityOf: (event: H3Event) => identities.of(event.context) });
}
