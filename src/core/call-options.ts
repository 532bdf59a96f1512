import { VerifyFailure } from './failure.js';
import { lazy } from './lazy.js';
import { issueMessages } from './messages.js';
import { check, isBoolean, isFunction, isObject, optional, parse, strict } from './schema.js';
import type { AnyVerifyOptions } from './verifier.js';

type Name = keyof AnyVerifyOptions;

const FITS: Readonly<Record<Name, (value: unknown) => boolean>> = {
  signal: (value) => isObject(value) && 'throwIfAborted' in value && 'addEventListener' in value,
  maxAgeMs: (value) => typeof value === 'number' && value >= 0,
  failOpen: isBoolean,
  waitUntil: isFunction,
};

const schema = lazy(() => {
  const field = (name: Name, expected: string) =>
    optional(check((value): value is unknown => FITS[name](value), expected));
  return strict(
    {
      signal: field('signal', 'an AbortSignal'),
      maxAgeMs: field('maxAgeMs', 'a number of milliseconds, 0 or more'),
      failOpen: field('failOpen', 'true or false'),
      waitUntil: field('waitUntil', 'a function'),
    },
    'an object',
  );
});

const isName = (name: string): name is Name => Object.hasOwn(FITS, name);

/** By hand: each call is checked, and a schema would cost as much as a cache hit. */
function areFine(options: unknown): boolean {
  if (!isObject(options)) return false;
  for (const [name, value] of Object.entries(options))
    if (!isName(name) || (value !== undefined && !FITS[name](value))) return false;
  return true;
}

/**
 * The failure for wrong call options. They say how strict to be, so nothing can be served in spite of them; nor
 * does a call throw for them, which no caller of `verify()` expects.
 */
export function wrongCallOptions(options: unknown): VerifyFailure | undefined {
  const parsed = areFine(options) ? undefined : parse(schema(), options, { reportInput: true });
  if (parsed === undefined || parsed.success) return undefined;
  const issues = issueMessages(parsed.error.issues, { '': Object.keys(FITS) });
  const said = issues.map((issue) => (issue.startsWith(':') ? `options${issue}` : issue)).join('; ');
  return new VerifyFailure('misconfigured', `keyverify: invalid call options: ${said}`);
}
