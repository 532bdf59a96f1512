import { isObject } from '../core/schema.js';
import type { DecodeContext } from '../protocol/protocol.js';
import type { FieldSource } from './definition.js';
import { named } from './functions.js';

/** Finds a value in the JSON of a response. */
export type Picker = (json: unknown, context: DecodeContext) => unknown;

/** The whole of the JSON. */
export const WHOLE = '.';

/** The names on the way to a value. */
export const stepsOf = (path: string): readonly string[] => (path === WHOLE ? [] : path.split('.'));

/** Finds nothing where there is nothing to pick. `place`: where the definition has it, for messages. */
export function pickerOf(pick: FieldSource | undefined, place: string): Picker {
  if (typeof pick === 'function') return named(place, pick);
  if (pick === undefined) return () => undefined;
  const steps = stepsOf(pick);
  const [name, second] = steps;
  // Nearly always, and a miss is measured.
  if (name !== undefined && second === undefined) return (json) => ownField(json, name);
  return (json) => valueAt(json, steps);
}

export const valueAt = (json: unknown, steps: readonly string[]): unknown => steps.reduce(ownField, json);

/** Nothing that is inherited: a prototype must not say that a key is valid. */
export function ownField(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

/** Whether it is an object with fields, and no list. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isObject(value) && !Array.isArray(value);

/** Whether it is an object as braces make it, in any realm. A `Map` or `Headers` would be taken for one without fields. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isRecord(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
