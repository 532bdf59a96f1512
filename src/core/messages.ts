import leven from 'leven';
import type { $ZodIssue } from 'zod/v4/core';

/** How far a typo may be from the name that was meant. */
const CLOSE = 3;

/** One sentence for each mistake: the option, what was expected and what came. `names`: the known options, by place. */
export function issueMessages(
  issues: readonly $ZodIssue[],
  names: Readonly<Record<string, readonly string[]>>,
): string[] {
  return issues.flatMap((issue) => {
    const option = issue.path.join('.');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(
        (key) => `${[...issue.path, key].join('.')}: there is no such option${meant(key, names[option] ?? [])}`,
      );
    return [`${option}: expected ${issue.message}, got ${shown(issue.input, option)}${hint(option, issue.input)}`];
  });
}

/** Asks whether another name was meant, if one is like it. */
export function meant(key: string, names: readonly string[]): string {
  const distance = (name: string): number => leven(name.toLowerCase(), key.toLowerCase());
  const [closest] = names.filter((name) => isNear(name, key)).toSorted((a, b) => distance(a) - distance(b));
  return closest === undefined ? '' : `, did you mean ${closest}?`;
}

const sorted = (text: string): string => Array.from(text).toSorted().join('');

/** Whether one name may be a typo of the other: a third is wrong at most, or they begin in the same way, or letters swapped. */
export function isNear(name: string, other: string): boolean {
  const [a, b] = [name.toLowerCase(), other.toLowerCase()];
  const distance = leven(a, b);
  if (distance > CLOSE) return false;
  if (sorted(a) === sorted(b)) return true;
  let common = 0;
  while (common < a.length && a[common] === b[common]) common++;
  return 3 * distance <= Math.max(a.length, b.length) || 2 * common >= Math.min(a.length, b.length);
}

/** Describes a value without quoting it: it may be a token in the wrong place. */
export function shown(value: unknown, option = ''): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${lengthOf(value)}`;
  // YAML takes a token of digits without quotes for a number.
  if (option === 'serviceToken' && typeof value === 'number') return 'a number';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof RegExp) return value.flags === '' ? 'a RegExp' : `one with the flags ${value.flags}`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** A line break at the end is easily overlooked: files and shells add it. */
function lengthOf(text: string): string {
  const length = `${text.length} characters`;
  if (text.endsWith('\n') || text.endsWith('\r')) return `${length}, the last of which is a line break`;
  return text.includes('\n') || text.includes('\r') ? `${length}, with a line break` : length;
}

function hint(option: string, value: unknown): string {
  if (option === 'serviceToken' && value === undefined) return '; pass it, or set KEYVERIFY_SERVICE_TOKEN';
  if (option === 'cacheTtlMs' && value === 0) return '; to ask each time, pass maxAgeMs: 0 to verify() or a guard';
  return '';
}
