import { InvalidOptionsError } from '../core/errors.js';
import { fromHex } from '../core/fingerprint.js';
import { isObject } from '../core/schema.js';
import { FINGERPRINT, SELECTORS, type Selector, type StoredSelector } from '../core/selector.js';

/** Checks a selector, and replaces a key by its fingerprint. */
export function parseSelector(selector: Selector, sha256: (key: string) => string, method: string): StoredSelector {
  const entries: [string, unknown][] = isObject(selector) ? Object.entries(selector) : [];
  const [[name, value] = []] = entries;
  if (entries.length !== 1 || !SELECTORS.includes(name) || typeof value !== 'string' || value === '')
    throw new InvalidOptionsError([`${method}: expected one of ${SELECTORS.join(', ')}, with a string`]);
  if ('key' in selector) return { fingerprint: sha256(selector.key) };
  if ('fingerprint' in selector && !FINGERPRINT.test(selector.fingerprint))
    throw new InvalidOptionsError([`${method}: fingerprint: expected a SHA-256 as 64 lower-case hexadecimal digits`]);
  // A copy: it is kept while answers are in flight, and the caller may reuse the object.
  return 'fingerprint' in selector ? { fingerprint: fromHex(selector.fingerprint) } : { ...selector };
}
