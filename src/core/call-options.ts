import { VerifyFailure } from './failure.js';
import { lazy } from './lazy.js';
import { issueMessages } from './messages.js';
import { check, isBoolean, isFunction, isObject, optional, parse, strict } from './schema.js';
import type { AnyVerifyOptions } from './verifier.js';

type Name = keyof AnyVerifyOptions;

/** What an option has to be like, and how that is said. */
const OPTIONS: Readonly<Record<Name, readonly [fits: (value: unknown) => boolean, expected: string]>> = {
  signal: [(value) => isObject(value) && 'throwIfAborted' in value && 'addEventListener' in value, 'an AbortSignal'],
  maxAgeMs: [(value) => typeof value === 'number' && value >= 0, 'a number of milliseconds, 0 or more'],
  failOpen: [isBoolean, 'true or false'],
  waitUntil: [isFunction, 'a function'],
};

const schema = lazy(() => {
  const fields = Object.entries(OPTIONS).map(([name, [fits, expected]]) => {
    return [name, optional(check((value): value is unknown => fits(value), expected))] as const;
  });
  return strict(Object.fromEntries(fields), 'an object');
});

const isName = (name: string): name is Name => Object.hasOwn(OPTIONS, name);

/** By hand: each call is checked, and a schema would cost as much as a cache hit. */
function areFine(options: unknown): boolean {
  if (!isObject(options)) return false;
  for (const [name, value] of Object.entries(options))
    if (!isName(name) || (value !== undefined && !OPTIONS[name][0](value))) return false;
  return true;
}

/**
 * The failure for wrong call options. They say how strict to be, so nothing can be served in spite of them; nor
 * does a call throw for them, which no caller of `verify()` expects.
 */
export function wrongCallOptions(options: unknown): VerifyFailure | undefined {
  const parsed = areFine(options) ? undefined : parse(schema(), options, { reportInput: true });
  if (parsed === undefined || parsed.success) return undefined;
  const issues = issueMessages(parsed.error.issues, { '': Object.keys(OPTIONS) });
  const said = issues.map((issue) => (issue.startsWith(':') ? `options${issue}` : issue)).join('; ');
  return new VerifyFailure('misconfigured', `keyverify: invalid call options: ${said}`);
}
