import { isHeaderValue } from '../core/header.js';
import type { TokenSource } from '../core/token.js';
import { lazy } from '../core/lazy.js';
import { issueMessages } from '../core/messages.js';
import { check, isBoolean, isFunction, isText, parse, strict, type Shape } from '../core/schema.js';
import type { FieldSource } from './definition.js';
import { explain } from './explain.js';
import { isPlainObject } from './pick.js';

/** Names with dots between them, none of them empty; `.` is the whole. */
export const isPath = (value: unknown): value is string =>
  isText(value) && (value === '.' || value.split('.').every((step) => step !== ''));

/** A name that is no step of JSONPath: it would be looked for as it is, and nothing be found. */
const isPickPath = (value: unknown): value is string => isPath(value) && !/^\$\.|[[\]]/.test(value);

/** What the options of presets and of definitions have to be. */
export const kinds = lazy(() => ({
  text: check(isText, 'a string that is not empty'),
  flag: check(isBoolean, 'true or false'),
  pick: check(
    (value): value is FieldSource => isFunction(value) || isPickPath(value),
    "a path such as 'data.owner.id', or a function",
  ),
  token: check(
    (value): value is TokenSource => isFunction(value) || isHeaderValue(value),
    'printable ASCII, or a function',
  ),
  texts: check(
    (value): value is readonly string[] => Array.isArray(value) && value.every(isText),
    'an array of strings that are not empty',
  ),
  objects: check(
    (value): value is readonly object[] => Array.isArray(value) && value.every(isPlainObject),
    'an array of objects',
  ),
}));

/** Finds the mistakes in the options of a preset. One that is misspelled would silently not be enforced. */
export function presetChecker(shape: (is: ReturnType<typeof kinds>) => Shape): (options: unknown) => string[] {
  const schema = lazy(() => {
    const fields = shape(kinds());
    return { Options: strict(fields, 'an object'), names: { '': Object.keys(fields) } };
  });
  return (options) => {
    const { Options, names } = schema();
    const parsed = parse(Options, options, { reportInput: true });
    if (parsed.success) return [];
    return issueMessages(parsed.error.issues, names).flatMap((issue) =>
      issue.startsWith(':') ? `options${issue}` : explain(issue, options),
    );
  };
}
