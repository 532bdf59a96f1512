import { rejected, type Rejected } from './result.js';

/** The longest key that is looked at, in UTF-16 code units. */
export const MAX_KEY_LENGTH = 4096;

/**
 * Control characters have no business in a header. Half a surrogate pair is hashed as U+FFFD, like any other half; with
 * U+FFFD itself refused too, no two keys share a fingerprint, and none that is refused here has one that is remembered.
 */
const FORBIDDEN_CHARACTERS = /[\p{Cc}\p{Cs}\uFFFD]/u;
const EMPTY = /^(?:)/;

/** Whether this can be a key at all: found out before it costs a hash. */
export function isHashable(key: unknown): key is string {
  return typeof key === 'string' && key !== '' && key.length <= MAX_KEY_LENGTH;
}

/** Whether it is worth a question. A key of which a verdict is remembered has been found so: it needs no second look. */
export function isAdmissible(key: string, keyFormat: RegExp | undefined): boolean {
  // The engine keeps the last text that matched, as RegExp.input: let that be another. What it returns is used, since
  // bundlers drop a test whose result is not.
  if (FORBIDDEN_CHARACTERS.test(key) && EMPTY.test('')) return false;
  return keyFormat === undefined || (keyFormat.test(key) && EMPTY.test(''));
}

const MISSING = rejected('local', 'missing_key');
const MALFORMED = rejected('local', 'malformed_key');

/** What to say to whatever is neither hashable nor admissible. */
export function localRejection(key: unknown): Rejected {
  return key === undefined || key === null || key === '' ? MISSING : MALFORMED;
}
