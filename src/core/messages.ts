import leven from 'leven';
import type { $ZodIssue } from 'zod/v4/core';
import { REDACTED } from './redact.js';

/** How far a typo may be from the name that was meant. */
const CLOSE = 3;
/** The longest text that is ever shown: no token is as short. */
const SHORT = 10;

/** What the name of an option that nobody knows has to look like to be shown: any other may be a key or a token. */
export const MAY_BE_SHOWN = /^[a-z_.]{1,32}$/i;

/** One sentence for each mistake: the option, what was expected and what came. `names`: the known options, by place. */
export function issueMessages(
  issues: readonly $ZodIssue[],
  names: Readonly<Record<string, readonly string[]>>,
): string[] {
  return issues.flatMap((issue) => {
    const { path, input, message } = issue;
    const option = path.join('.');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => {
        const name = MAY_BE_SHOWN.test(key) ? key : REDACTED;
        return `${[...path, name].join('.')}: there is no such option${meant(name, names[option] ?? [])}`;
      });
    return sentence(option, message, input);
  });
}

const OTHER_WAY = '; pass it, or set KEYVERIFY_SERVICE_TOKEN';

/** One mistake. */
export const sentence = (option: string, expected: string, value: unknown): string =>
  `${option}: expected ${expected}, got ${shown(value, expected)}` +
  (option === 'serviceToken' && value === undefined ? OTHER_WAY : '');

/** However a URL is called: `baseUrl`, `endpoint`. */
const URL_NAME = /(?:url|endpoint)$/i;

/** Asks whether another name was meant, if one is like it. */
export function meant(key: string, names: readonly string[]): string {
  const end = bare(key);
  // A name that the key ends with is meant, even if others are as near: `retries` with `maxRetries`.
  const from = (name: string): number => (end.endsWith(bare(name)) ? 0 : leven(name.toLowerCase(), key.toLowerCase()));
  const [closest] = names
    .filter(
      (name) =>
        isNear(name, key) ||
        4 * leven(bare(name).slice(-end.length), end) <= end.length ||
        (URL_NAME.test(name) && URL_NAME.test(key)),
    )
    .toSorted((a, b) => from(a) - from(b));
  return closest === undefined ? '' : `, did you mean ${closest}?`;
}

/** Whether one name may be a typo of the other: a third is wrong at most, or they begin in the same way. */
export function isNear(name: string, other: string): boolean {
  const [a, b] = [name.toLowerCase(), other.toLowerCase()];
  const wrong = leven(a, b);
  if (wrong > CLOSE) return false;
  let common = 0;
  while (common < a.length && a[common] === b[common]) common++;
  return 3 * wrong <= Math.max(a.length, b.length) || 2 * common >= Math.min(a.length, b.length);
}

/** A name without its unit, to be compared with the end of another: `url` with `verifyUrl`, `ttlSeconds` with `cacheTtlMs`. */
const bare = (name: string): string => name.toLowerCase().replace(/(?:ms|seconds)$/, '');

/** Where a number, a flag or one of a few words is expected. */
const OPEN = /number|true or|^'\w+' or/;

/** Describes a value. It may be a token in the wrong place, so only a short text is quoted, and where none is expected. */
export function shown(value: unknown, expected = ''): string {
  if (value === '') return 'an empty string';
  if (typeof value === 'string')
    return value.length <= SHORT && OPEN.test(expected) ? JSON.stringify(value) : `a string of ${lengthOf(value)}`;
  // YAML takes a token of digits without quotes for a number.
  const isOpen = typeof value === 'number' && !/printable|random/.test(expected);
  if (isOpen || typeof value === 'boolean' || (value ?? null) === null) return String(value);
  if (value instanceof RegExp) return 'a RegExp';
  if (typeof value === 'function' && expected.includes('function that')) return 'one that does not';
  if (Array.isArray(value)) return value.length > 0 ? 'an array' : 'an empty array';
  return aType(value);
}

/** `a number`, `an object`. */
export const aType = (value: unknown): string => `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;

/** Line breaks and blanks are easily overlooked: files and shells add them. */
function lengthOf(text: string): string {
  const isTrimmed = text.trim() === text;
  const blanks = text.includes('\n') ? ', with a line break' : isTrimmed ? '' : ', with surrounding blanks';
  return `${text.length} character${text.length === 1 ? '' : 's'}${blanks}`;
}
