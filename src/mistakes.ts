import leven from 'leven';
import type { $ZodIssue } from 'zod/v4/core';

const DURATION = 'a positive number of milliseconds';
const TIMER = 'a positive number of milliseconds, up to 2 147 483 647';
const COUNT = 'a positive whole number';
const HOOK = 'a function';

/** What each option wants, to end the sentence that says it came to something else. */
const EXPECTED: Readonly<Record<string, string>> = {
  serviceToken: 'visible characters without a line break, or a function that gives them',
  scope: 'a string that is not empty',
  cacheTtlMs: DURATION,
  rejectedTtlMs: DURATION,
  staleIfErrorMs: 'a number of milliseconds, 0 or more',
  refreshAhead: 'a number above 0, up to 1',
  maxEntries: COUNT,
  maxRejectedEntries: COUNT,
  timeoutMs: TIMER,
  retries: 'a whole number, 0 or more',
  maxConcurrency: COUNT,
  breaker: 'false, or an object of failureThreshold, openMs, maxOpenMs',
  'breaker.failureThreshold': COUNT,
  'breaker.openMs': TIMER,
  'breaker.maxOpenMs': TIMER,
  failOpen: 'true or false',
  keyFormat: 'a RegExp without the flags g and y',
  claims: 'a Standard Schema',
  fetch: 'a function',
  dispatcher: 'an undici dispatcher',
  transport: 'an object with send()',
  logger: 'an object with warn()',
  allowInsecureHttp: 'true or false',
  dangerouslyAllowBrowser: 'true or false',
  clock: 'an object with wall(), monotonic() and after()',
  random: 'a function',
  onVerdict: HOOK,
  onFailure: HOOK,
  onStale: HOOK,
  onFailOpen: HOOK,
  onBreakerChange: HOOK,
};

const BREAKER = ['failureThreshold', 'openMs', 'maxOpenMs'];

/** How far a typo may be from the name that was meant. */
const CLOSE = 3;

/** One sentence a mistake: the option, what was expected and what came. */
export function mistakes(
  issues: readonly $ZodIssue[],
  given: object,
  names: readonly string[],
  base: readonly PropertyKey[] = [],
): string[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path];
    const value = path.reduce<unknown>((at, step) => (isObject(at) ? Reflect.get(at, step) : undefined), given);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => unknownOption([...path, key].join('.'), key, path.length > 0 ? BREAKER : names));
    const inner = issue.code === 'invalid_union' ? issue.errors.at(-1) : undefined;
    if (path[0] === 'breaker' && inner !== undefined && isObject(value)) return mistakes(inner, given, names, path);
    const option = path.join('.');
    return [
      `${option}: expected ${EXPECTED[option] ?? 'something else'}, got ${shown(value, option)}${hint(option, value)}`,
    ];
  });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownOption(option: string, key: string, names: readonly string[]): string {
  const [closest] = names.toSorted((a, b) => distance(a, key) - distance(b, key));
  const meant = closest !== undefined && distance(closest, key) <= CLOSE ? `, did you mean ${closest}?` : '';
  return `${option}: there is no such option${meant}`;
}

const distance = (name: string, key: string): number => leven(name.toLowerCase(), key.toLowerCase());

/** Says what came without quoting it: a token may have been put into the wrong place. */
function shown(value: unknown, option: string): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`;
  // Digits without quotes are a number to YAML, and a token may be made of digits.
  if (option === 'serviceToken' && typeof value === 'number') return 'a number';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof RegExp) return value.flags === '' ? 'a RegExp' : `one with the flags ${value.flags}`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function hint(path: string, value: unknown): string {
  return path === 'serviceToken' && value === undefined ? '; pass it, or set KEYVERIFY_SERVICE_TOKEN' : '';
}
