import type { OneOf } from './one-of.js';

/**
 * Which verdicts to forget: exactly one of these. `fingerprint` is the SHA-256 of the key as 64 hexadecimal digits, as
 * `fingerprint(key)` gives it.
 */
export type Selector = OneOf<{
  readonly key: string;
  readonly fingerprint: string;
  readonly keyId: string;
  readonly client: string;
  readonly tenant: string;
}>;

/** The names of a selector. */
export const SELECTORS: readonly string[] = ['key', 'fingerprint', 'keyId', 'client', 'tenant'];

/** A fingerprint as it is written: 64 lower-case hexadecimal digits. */
export const FINGERPRINT = /^[0-9a-f]{64}$/;

/** A selector in the only form that is kept: a key is replaced by its fingerprint. */
export type StoredSelector =
  | { readonly fingerprint: string }
  | { readonly keyId: string }
  | { readonly client: string }
  | { readonly tenant: string };
