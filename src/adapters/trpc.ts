/** `keyverify/trpc`: for the middleware of a tRPC procedure. */
import { TRPCError } from '@trpc/server';

import type { Denial } from '../guard/denial.js';
import { fromRequest } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import { expectCall, isFetchRequest, isNodeRequest } from '../guard/misuse.js';
import { type Closable, fromNode, guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** The context of a procedure, as the adapters of tRPC pass it to `createContext`. */
export interface TrpcContext {
  readonly req: Request | NodeRequest;
  /** With an adapter for Node.js: gets the headers of a denial, except over a WebSocket. */
  readonly res?: NodeResponse | Closable | undefined;
  /** With the adapter for fetch: gets the headers of a denial. */
  readonly resHeaders?: Headers | undefined;
}

/** HTTP statuses as tRPC codes; all others are INTERNAL_SERVER_ERROR. */
const CODES: Readonly<Record<number, TRPCError['code']>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  429: 'TOO_MANY_REQUESTS',
  499: 'CLIENT_CLOSED_REQUEST',
  503: 'SERVICE_UNAVAILABLE',
};

/** tRPC writes the body, and so the headers about it. A stream may have sent its headers already. */
function sendHeaders({ headers }: Denial, { res, resHeaders }: TrpcContext): void {
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'content-type') continue;
    resHeaders?.set(name, value);
    if (res !== undefined && 'setHeader' in res && !res.headersSent) res.setHeader(name, value);
  }
}

/**
 * A function that resolves to the identity of a procedure's caller, or rejects with a `TRPCError` whose message is the reason.
 * Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const t = initTRPC.context<{ req: IncomingMessage; res: ServerResponse }>().create();
 * const auth = apiKeyAuth(verifier);
 * const guarded = t.procedure.use(async ({ ctx, next }) => next({ ctx: { identity: await auth(ctx) } }));
 *
 * const router = t.router({ orders: guarded.query(({ ctx }) => ({ tenant: ctx.identity.tenant })) });
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): (context: TrpcContext) => Promise<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  return async (context) => {
    const { req, res } = context;
    expectCall(isFetchRequest(req) || isNodeRequest(req), 'trpc', 'req in the context of tRPC');
    const decision = await (isFetchRequest(req)
      ? guard(fromRequest(req))
      : res === undefined
        ? guard(fromNode(req))
        : guardNode(guard, req, res));
    if (decision.allowed) return decision.identity;
    sendHeaders(decision.denial, context);
    const { status, reason } = decision.denial;
    throw new TRPCError({ code: CODES[status] ?? 'INTERNAL_SERVER_ERROR', message: reason });
  };
}
