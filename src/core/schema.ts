import { $ZodArray, $ZodCustom, $ZodDefault, $ZodNever, $ZodObject, safeParse, type $ZodType } from 'zod/v4/core';

// Of zod only the core: each schema of zod/mini has a dozen methods, which weigh 1 kB in a browser and are not called here.

/** What a value has to be, and what it then is. */
type Schema<T> = $ZodType<T>;
/** The fields of an object. */
export type Shape = Readonly<Record<string, Schema<unknown>>>;
/** What they then are. */
export type Fields<S extends Shape> = { readonly [Name in keyof S]: S[Name] extends Schema<infer T> ? T : never };

// The core's constructors can't say what their schemas give.
// eslint-disable-next-line @typescript-eslint/consistent-type-assertions
const typed = <T>(schema: $ZodType): Schema<T> => schema as Schema<T>;

/** A value of which this holds; `expected` says so, as the end of a sentence. */
export const check = <T>(is: (value: unknown) => value is T, expected?: string) =>
  typed<T>(new $ZodCustom({ type: 'custom', check: 'custom', abort: true, fn: is, error: () => expected }));

/** An object of these fields and of no others. */
export const strict = <S extends Shape>(shape: S, expected?: string) =>
  typed<Fields<S>>(
    new $ZodObject({ type: 'object', shape, catchall: new $ZodNever({ type: 'never' }), error: () => expected }),
  );

/** An object of these fields; of others it has, nothing is left. */
export const loose = <S extends Shape>(shape: S) => typed<Fields<S>>(new $ZodObject({ type: 'object', shape }));

/** An array of these, which must be one already. */
export const list = <T extends readonly unknown[]>(element: Schema<T[number]>) =>
  typed<T>(new $ZodArray({ type: 'array', element }));

/** Anything at all. */
export const anything = () => check((value): value is unknown => isObject(value) || !isObject(value));

/** The same, with what stands in for `undefined`. */
export const withDefault = <T>(innerType: Schema<T>, defaultValue: T) =>
  typed<T>(new $ZodDefault({ type: 'default', innerType, defaultValue }));

export const optional = <T>(schema: Schema<T>) => withDefault<T | undefined>(schema, undefined);

export const number = (fits: (value: number) => boolean, expected: string) =>
  check((value): value is number => typeof value === 'number' && Number.isFinite(value) && fits(value), expected);
export const func = <T>() => check((value): value is T => isFunction(value), 'a function');

/** Issues tell what came only where the context says so: zod copies it, which takes longer than to check a verdict. */
export const parse = <T>(schema: Schema<T>, value: unknown, context?: { readonly reportInput: true }) =>
  safeParse(schema, value, context);

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
/** A field of anything. An error of the caller's may have getters, and those may throw. */
export function fieldOf(value: unknown, name: PropertyKey): unknown {
  try {
    return isObject(value) ? Reflect.get(value, name) : undefined;
  } catch {
    return undefined;
  }
}
export const isFunction = (value: unknown): value is (...args: never) => unknown => typeof value === 'function';
export const isString = (value: unknown): value is string => typeof value === 'string';
export const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
export const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
