/**
 * `keyverify/fleet`: the code that shares verdicts and follows revocations. Shared caches and sources of your own need it;
 * those of `keyverify/redis` and `keyverify/sse` bring it along.
 *
 * @module
 */
export { fleet } from '../client/fleet.js';
export type { FleetSupport } from '../fleet/support.js';
