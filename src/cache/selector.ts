import { sha256 } from '#platform';

import type { StoredSelector, Selector } from './invalidation-log.js';
import { InvalidOptionsError } from '../core/failure.js';
import { fromHex } from '../core/fingerprint.js';

const FINGERPRINT = /^[0-9a-f]{64}$/;
const NAMES = ['key', 'fingerprint', 'keyId', 'client', 'tenant'];

/** Checks a selector, and lets go of the key if it holds one. */
export function parseSelector(selector: Selector): StoredSelector {
  const entries: [string, unknown][] = Object.entries(selector);
  const [[name, value] = []] = entries;
  if (entries.length !== 1 || name === undefined || !NAMES.includes(name) || typeof value !== 'string' || value === '')
    throw new InvalidOptionsError([`invalidate: expected one of ${NAMES.join(', ')}, with a string`]);
  if ('key' in selector) return { fingerprint: sha256(selector.key) };
  if ('fingerprint' in selector && !FINGERPRINT.test(selector.fingerprint))
    throw new InvalidOptionsError(['invalidate: fingerprint: expected a SHA-256 as 64 small hexadecimal digits']);
  // A copy: it is remembered for as long as answers are on their way, and the caller may use the object again.
  return 'fingerprint' in selector ? { fingerprint: fromHex(selector.fingerprint) } : { ...selector };
}
