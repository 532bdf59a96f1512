import { InvalidOptionsError } from './errors.js';
import { issueMessages, shown } from './messages.js';
import { isObject, parse, strict, type Fields, type Shape } from './schema.js';

/** What is wrong with options that are none at all. `place`: what they are called. */
export function notOptions(given: unknown, place = 'options'): string | undefined {
  // To zod an array is an object, too, and spread, a string is an object of its letters.
  return isObject(given) && !Array.isArray(given) ? undefined : `${place}: expected an object, got ${shown(given)}`;
}

/** The options with their defaults, and one sentence for each mistake. */
function read<S extends Shape>(shape: S, given: unknown, place?: string) {
  const none = notOptions(given, place);
  if (none !== undefined) return { issues: [none] };
  const parsed = parse(strict(shape), given, { reportInput: true });
  if (parsed.success) return { options: parsed.data, issues: [] };
  return { issues: issueMessages(parsed.error.issues, { '': Object.keys(shape) }) };
}

/** One sentence for each mistake in options of this shape, which has no defaults. */
export function optionIssues(shape: Shape, given: unknown): readonly string[] {
  return read(shape, given).issues;
}

/** The options with their defaults. Throws `InvalidOptionsError` with every mistake at once. */
export function checkOptions<S extends Shape>(shape: S, given: unknown, place?: string): Fields<S> {
  const { options, issues } = read(shape, given, place);
  if (options === undefined) throw new InvalidOptionsError(issues);
  return options;
}
