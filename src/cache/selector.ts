import { InvalidOptionsError } from '../core/errors.js';
import { fromHex } from '../core/fingerprint.js';
import { meant } from '../core/messages.js';
import { isText } from '../core/schema.js';
import { FINGERPRINT, SELECTORS, type StoredSelector } from '../core/selector.js';

/** What would select nothing, without a word. Not by a RegExp, where it is a key: the engine would keep it, as its input. */
function wrongValue(name: unknown, value: string): string | undefined {
  if (name === 'key' && value.slice(0, 7).toLowerCase() === 'bearer ') return 'key: leave out "Bearer "';
  if (name === 'fingerprint' && !FINGERPRINT.test(value))
    return 'fingerprint: expected 64 lower-case hexadecimal digits';
  return undefined;
}

/** Names an unknown field that is like a known one: any other may be a key. */
function typo([name]: readonly [string, unknown]): string {
  const hint = SELECTORS.includes(name) ? '' : meant(name, SELECTORS);
  return hint && `; ${name}: there is no such field${hint}`;
}

/** Checks a selector, and replaces a key by its fingerprint. */
export function parseSelector(
  selector: { readonly key: string } | StoredSelector,
  sha256: (key: string) => string,
  method: string,
): StoredSelector {
  const entries = Object.entries<unknown>({ ...selector });
  const [[name, value] = ['', undefined]] = entries;
  const issue =
    entries.length !== 1 || !SELECTORS.includes(name) || !isText(value)
      ? `expected exactly one of ${SELECTORS.join(', ')}, with a string${entries.map(typo).join('')}`
      : wrongValue(name, value);
  if (issue !== undefined) throw new InvalidOptionsError([`${method}: ${issue}`]);
  if ('key' in selector) return { fingerprint: sha256(selector.key) };
  // A copy: it is kept while answers are in flight, and the caller may reuse the object.
  return 'fingerprint' in selector ? { fingerprint: fromHex(selector.fingerprint) } : { ...selector };
}
