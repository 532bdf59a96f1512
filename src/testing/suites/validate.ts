import { checkOptions, optionIssues } from '../../core/check-options.js';
import { InvalidOptionsError } from '../../core/errors.js';
import { lazy } from '../../core/lazy.js';
import {
  check,
  fieldOf,
  func,
  isBoolean,
  isFunction,
  isObject,
  isString,
  isText,
  optional,
  strict,
} from '../../core/schema.js';
import { status, text } from '../validate.js';

const isTexts = (value: unknown): value is object =>
  isObject(value) && Object.values(value).every(isText) && !Array.isArray(value);
const isProtocol = (value: unknown): value is object =>
  ['encode', 'decode'].every((name) => isFunction(fieldOf(value, name)));

const shapes = lazy(() => {
  const flag = optional(check(isBoolean, 'true or false'));
  const sample = {
    status: status(),
    headers: optional(check(isTexts, 'an object of strings that are not empty')),
    body: check(isString, 'a string'),
  };
  return {
    adapter: { serve: func(), call: optional(func()), http: flag, leaves: flag },
    sample,
    protocol: {
      protocol: check(isProtocol, 'an object with encode() and decode()'),
      verified: func(),
      rejected: strict(sample, 'an object of status and body'),
      sendsToken: flag,
    },
    keyServer: {
      verifyUrl: text(),
      serviceToken: text(),
      key: text(),
      scope: text(),
      otherScope: text(),
      rejectedKeys: optional(check(isTexts, 'an object of keys and reasons')),
    },
  };
});

export const checkAdapterUnderTest = (options: unknown): unknown => checkOptions(shapes().adapter, options);
export const checkProtocolUnderTest = (options: unknown): unknown => checkOptions(shapes().protocol, options);

/** What `verified()` of a protocol under test returned. */
export function checkSample(sample: unknown): void {
  const issues = optionIssues(shapes().sample, sample);
  if (issues.length > 0) throw new InvalidOptionsError(issues.map((issue) => `verified(): ${issue}`));
}

/** The function that makes what is under test, which is called by each case. */
export const checkMake = (name: string, make: unknown): unknown => checkOptions({ [name]: func() }, { [name]: make });

/** The options of `keyServerCases()`, in whose place no variable stands. */
export function checkKeyServerUnderTest(options: unknown): void {
  const issues = optionIssues(shapes().keyServer, options).map((issue) => issue.replace(/; pass it.+/, ''));
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}
