/** `keyverify/elysia`: a plugin that sets `identity` in the context of the routes behind it. */
import { Elysia } from 'elysia';

import type { Decision } from '../guard/decision.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Elysia answers with the response of an error that has one. */
class DeniedError extends Error {
  override readonly name = 'DeniedError';
  readonly #response: Response;

  constructor(reason: string, response: Response) {
    super(reason);
    this.#response = response;
  }

  toResponse(): Response {
    return this.#response;
  }
}

/**
 * A plugin that admits only requests with a valid key, to the routes added after it in the same instance. It denies before a
 * body is parsed. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * new Elysia()
 *   .use(apiKeyAuth(verifier))
 *   .get('/orders', ({ identity }) => ({ tenant: identity.tenant }))
 *   .listen(3000);
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(verifier: VerifierSource<V>, options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>) {
  const guard = createGuard(verifier, options);
  type Identity = IdentityOf<ClaimsOf<V>, FailOpen, Optional>;
  const decisions = new WeakMap<Request, Decision<Identity>>();
  // A body is parsed before anything is derived, but what is thrown there is a 400. So this only keeps it from being read.
  return new Elysia()
    .onParse({ as: 'scoped' }, async ({ request }) => {
      const decision = await guard(fromRequest(request));
      decisions.set(request, decision);
      return decision.allowed ? undefined : 'not read';
    })
    .derive({ as: 'scoped' }, async ({ request }) => {
      const decision = await (decisions.get(request) ?? guard(fromRequest(request)));
      if (!decision.allowed) throw new DeniedError(decision.denial.reason, toResponse(decision.denial, request));
      const { identity }: { identity: Identity } = decision;
      return { identity };
    });
}
