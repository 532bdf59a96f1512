import type { Denial } from './denial.js';
import type { RouteOptions } from './options.js';
import type { GuardRequest } from './request.js';

/**
 * What a guard decides: go on with the identity of the caller, or answer with the denial. Each has the other's field as
 * `undefined`, so that `if (!decision.allowed) return decision.denial` compiles without `strict`, too.
 */
export type Decision<Identity, Denied = Denial> =
  | { readonly allowed: true; readonly identity: Identity; readonly denial?: undefined }
  | { readonly allowed: false; readonly denial: Denied; readonly identity?: undefined };

/** What is there at once is not made to wait: a promise costs a service more than a cached verdict does. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * Decides about a request: at once for a cached verdict, else with a promise. It neither throws nor rejects: an error is a
 * denial, and so is a mistake in `route`, the options that differ for this route.
 */
export type Guard<Identity> = (request: GuardRequest, route?: RouteOptions) => MaybePromise<Decision<Identity>>;

/** Goes on with a decision, at once if it is there. */
export function proceed<Identity>(
  decision: MaybePromise<Decision<Identity>>,
  next: (decision: Decision<Identity>) => unknown,
): void {
  if (decision instanceof Promise) void decision.then(next);
  else next(decision);
}
