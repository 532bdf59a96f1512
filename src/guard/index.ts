/**
 * `keyverify/guard`: what all adapters are made of, for frameworks without one.
 *
 * @module
 */
export { createGuard } from './guard.js';
export type { Decision, Guard } from './decision.js';
export type { Denial, DenialContext, DenialOverrides, ProblemDetails } from './denial.js';
export type { KeySource } from './key-sources.js';
export type { GuardOptions, IdentityOf, RouteOptions } from './options.js';
export type { GuardRequest } from './request.js';
export type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from './verifier.js';
