import { fieldOf, isFunction } from '../core/schema.js';
import { VERSION } from '../version.js';

/**
 * The code that shares verdicts and follows revocations: `fleet`, from `keyverify/fleet`. A shared cache or a source brings it
 * along, so that a verifier without either doesn't contain it. Opaque.
 */
export interface FleetSupport {
  /** Of this package: the code works with the inside of a verifier. */
  readonly version: string;
  readonly create: (...args: never) => unknown;
}

export const fleetSupport = <Create extends FleetSupport['create']>(create: Create) =>
  ({ version: VERSION, create }) satisfies FleetSupport;

export const isFleetSupport = (value: unknown): value is FleetSupport =>
  fieldOf(value, 'version') === VERSION && isFunction(fieldOf(value, 'create'));
