/** `keyverify/fetch`: for whatever answers a `Request` with a `Response`: Workers, Bun, Deno, Next.js, SvelteKit, Remix. */
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** Whether a request may go on: with an identity, or not, with the response to give instead. */
export type Admission<Identity> =
  { readonly allowed: true; readonly identity: Identity } | { readonly allowed: false; readonly response: Response };

/** What keeps a worker alive after its response: its `ctx`, or its event. */
export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

/** A door for requests. */
export interface Keyverify<Identity> {
  /** For loaders and route handlers: `const admission = await admit(request); if (!admission.allowed) return admission.response`. */
  readonly admit: (request: Request, context?: ExecutionContext) => Promise<Admission<Identity>>;
  /** Makes a handler that is only called with an identity, which it gets ahead of whatever the runtime passes. */
  readonly guard: <Rest extends readonly unknown[]>(
    handler: (request: Request, identity: Identity, ...rest: Rest) => Response | Promise<Response>,
  ) => (request: Request, ...rest: Rest) => Promise<Response>;
}

function isExecutionContext(value: unknown): value is ExecutionContext {
  return typeof value === 'object' && value !== null && 'waitUntil' in value && typeof value.waitUntil === 'function';
}

/** A door that nobody passes without a good key. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Keyverify<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const admit: Keyverify<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>['admit'] = async (request, context) => {
    const waitUntil = context && ((work: Promise<unknown>) => context.waitUntil(work));
    const decision = await guard(fromRequest(request, waitUntil));
    return decision.allowed ? decision : { allowed: false, response: toResponse(decision.denial, request) };
  };
  return {
    admit,
    guard:
      (handler) =>
      async (request, ...rest) => {
        const admission = await admit(request, rest.find(isExecutionContext));
        return admission.allowed ? await handler(request, admission.identity, ...rest) : admission.response;
      },
  };
}
