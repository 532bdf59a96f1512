import { rejected, type Rejected } from './result.js';

/** What a key looks like: a pattern, or a function that says so. */
export type KeyFormat = RegExp | ((key: string) => boolean);

/** The longest key that is looked at, in UTF-16 code units. */
export const MAX_KEY_LENGTH = 4096;

/**
 * Control characters have no place in a header, and a scheme has none in a key. Half a surrogate pair is hashed as U+FFFD, like
 * any other half; with U+FFFD itself refused too, no two keys share a fingerprint.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\uFFFD]|^bearer /iu;
const EMPTY = /^(?:)/;

/** Whether this can be a key at all: checked before it costs a hash. */
export function isHashable(key: unknown): key is string {
  return typeof key === 'string' && key.length <= MAX_KEY_LENGTH && !isBlank(key);
}

/** Whether it is worth a question. A key with a cached verdict has been checked before. A format that throws denies. */
export function isAdmissible(key: string, keyFormat: KeyFormat | undefined, onThrow?: () => void): boolean {
  // The engine keeps the last text that matched as RegExp.input, so match another. The result is used, since bundlers drop
  // a test whose result is not.
  if (FORBIDDEN.test(key) && EMPTY.test('')) return false;
  let isKey = false;
  try {
    isKey = fits(key, keyFormat);
  } catch {
    onThrow?.();
  }
  return EMPTY.test('') && isKey;
}

/** Whether the format takes it for a key. Throws where the format does. */
export function fits(key: string, keyFormat: KeyFormat | undefined): boolean {
  const isKey: unknown = typeof keyFormat === 'function' ? keyFormat(key) : (keyFormat?.test(key) ?? true);
  return isKey === true;
}

const MISSING = rejected('local', 'missing_key');
const MALFORMED = rejected('local', 'malformed_key');

/** The result for a key that is not hashable or not admissible. */
export function localRejection(key: unknown): Rejected {
  if (key === undefined || key === null || (typeof key === 'string' && isBlank(key))) return MISSING;
  return MALFORMED;
}

/** The first character tells nearly always: between these two there are no blanks. */
function isBlank(key: string): boolean {
  const first = key.charCodeAt(0);
  return !(first > 0x20 && first < 0xa0) && key.trim() === '';
}
