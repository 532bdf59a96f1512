import type { Decision } from './decision.js';

/** Another guard may have: each has an `identityOf()` of its own. */
const NOT_ADMITTED =
  'this guard has not admitted this request: run it before the handler, or call identityOf() of the guard that ran';

/**
 * The identities that a guard has admitted, by the object that stands for the request. Only the guard writes here, so that
 * nothing in a request, a payload or a parent object passes for an identity.
 */
export class Identities<Identity> {
  readonly #admitted = new WeakMap<object, { readonly identity: Identity }>();

  admit(request: object, decision: Extract<Decision<Identity, unknown>, { readonly allowed: true }>): void {
    this.#admitted.set(request, decision);
  }

  /** `undefined` where the guard has not admitted the request. */
  get(request: object): Identity | undefined {
    return this.#admitted.get(request)?.identity;
  }

  /** Throws where the guard has not admitted the request. `problem`: what to say then. */
  of(request: object, problem = NOT_ADMITTED): Identity {
    const admitted = this.#admitted.get(request);
    if (admitted === undefined) throw new Error(`keyverify: ${problem}`);
    return admitted.identity;
  }
}
