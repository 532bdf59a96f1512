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

function meant(key: string, names: readonly string[]): string {
  const distance = (name: string): number => leven(name.toLowerCase(), key.toLowerCase());
  const [closest] = names.filter((name) => distance(name) <= CLOSE).toSorted((a, b) => distance(a) - distance(b));
  return closest === undefined ? '' : `, did you mean ${closest}?`;
}

/** Describes a value without quoting it: it may be a token in the wrong place. */
function shown(value: unknown, option: string): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`;
  // YAML takes a token of digits without quotes for a number.
  if (option === 'serviceToken' && typeof value === 'number') return 'a number';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof RegExp) return value.flags === '' ? 'a RegExp' : `one with the flags ${value.flags}`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function hint(option: string, value: unknown): string {
  return option === 'serviceToken' && value === undefined ? '; pass it, or set KEYVERIFY_SERVICE_TOKEN' : '';
}
