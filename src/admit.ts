import type { Rejected } from './result.js';

/** The longest key that is looked at, in UTF-16 code units. */
export const MAX_KEY_LENGTH = 4096;

/** Control characters have no business in a header, and half a surrogate pair would hash like any other half. */
const UNSENDABLE = /[\p{Cc}\p{Cs}]/u;
const NOTHING = /^(?:)/;

/** Whether this can be a key at all: found out before it costs a hash or a question. */
export function isAdmissible(key: unknown, keyFormat: RegExp | undefined): key is string {
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH) return false;
  // The engine keeps the last text that matched, as RegExp.input: let that be another. What it returns is used, since
  // bundlers drop a test whose result is not.
  if (UNSENDABLE.test(key) && NOTHING.test('')) return false;
  return keyFormat === undefined || (keyFormat.test(key) && NOTHING.test(''));
}

const MISSING: Rejected = Object.freeze({ valid: false, source: 'local', reason: 'missing_key' });
const MALFORMED: Rejected = Object.freeze({ valid: false, source: 'local', reason: 'malformed_key' });

/** What to say to whatever isn't admissible. */
export function refusal(key: unknown): Rejected {
  return key === undefined || key === null || key === '' ? MISSING : MALFORMED;
}
