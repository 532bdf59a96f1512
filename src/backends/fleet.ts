/**
 * `keyverify/fleet`: the code that shares verdicts and follows revocations. Shared caches and sources of your own need it;
 * those of `keyverify/redis` and `keyverify/sse` bring it along.
 *
 * @module
 */
import { fleet as support } from '../client/fleet.js';
import type { FleetSupport } from '../fleet/support.js';

export type { FleetSupport } from '../fleet/support.js';

/**
 * What a shared cache or a source of revocations brings along: only verifiers that share something contain it.
 *
 * @example
 * ```ts
 * const sharedCache: SharedCache = { fleet, ...openStore() };
 * ```
 */
export const fleet: FleetSupport = support;
