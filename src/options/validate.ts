import { isAdmissible, isHashable, type KeyFormat } from '../core/admit.js';
import type { Clock } from '../core/clock.js';
import type { Observer } from '../core/events.js';
import { lazy } from '../core/lazy.js';
import {
  anything,
  check,
  fieldOf,
  func,
  isBoolean,
  isFunction,
  isObject,
  isText,
  number,
  optional,
  parse,
  strict,
  withDefault,
} from '../core/schema.js';
import { isHeaderValue } from '../core/header.js';
import type { TokenSource } from '../core/token.js';
import type { Logger } from '../core/logger.js';
import type { RevocationSource } from '../fleet/revocation.js';
import type { SharedCache } from '../fleet/shared-cache.js';
import { isFleetSupport } from '../fleet/support.js';
import type { WireProtocol } from '../protocol/protocol.js';
import type { Fetch } from '../transport/fetch.js';
import type { Transport } from '../transport/transport.js';
import type { Dispatcher } from '../transport/dispatcher.js';
import { issueMessages } from '../core/messages.js';
import { observerIssues } from './observers.js';

const hasMethods = (value: unknown, names: readonly string[]): boolean =>
  names.every((name) => isFunction(fieldOf(value, name)));
const methods = <T>(names: readonly string[], expected: string) =>
  check((value): value is T => hasMethods(value, names), expected);

/** Whether the function returns something like this for what is no key. */
function returns(call: (...args: never) => unknown, test: (result: unknown) => boolean): boolean {
  try {
    return test(Reflect.apply(call, undefined, ['?']));
  } catch {
    return false;
  }
}

/** `false` comes from a protocol that needs none. */
const isTokenSource = (value: unknown): value is TokenSource | false =>
  value === false || isFunction(value) || isHeaderValue(value);
const isKeyFormat = (value: unknown): value is KeyFormat =>
  isFunction(value) ? returns(value, isBoolean) : value instanceof RegExp && !value.global && !value.sticky;
const isControlKey = (value: unknown): value is () => string =>
  isFunction(value) && returns(value, (key) => isHashable(key) && returns(value, (other) => other !== key));
const isDispatcher = (value: unknown): value is Dispatcher | (() => Dispatcher) =>
  // A class can't be called.
  isFunction(value) ? !hasMethods(Reflect.get(value, 'prototype'), ['dispatch']) : hasMethods(value, ['dispatch']);
/** Blanks and line breaks come from files and shells: a key server would find no such scope. */
const isScope = (value: unknown): value is string =>
  isText(value) && value.trim() === value && isAdmissible(value, undefined);
const isLogger = (value: unknown): value is Logger | false => value === false || hasMethods(value, ['warn']);
const isSchema = (value: unknown): value is object => {
  const standard: unknown = (isObject(value) || isFunction(value)) && Reflect.get(value, '~standard');
  return isFunction(fieldOf(standard, 'validate'));
};
const areObservers = (value: unknown): value is readonly Observer<never>[] => Array.isArray(value);

const isSharedCache = (value: unknown): value is SharedCache =>
  hasMethods(value, ['get', 'put', 'lease']) && isFleetSupport(fieldOf(value, 'fleet'));
const isSource = (value: unknown): value is RevocationSource => {
  if (!hasMethods(value, ['follow']) || !isFleetSupport(fieldOf(value, 'fleet'))) return false;
  const heartbeatMs = fieldOf(value, 'heartbeatMs');
  return isText(fieldOf(value, 'name')) && typeof heartbeatMs === 'number' && heartbeatMs > 0;
};
const areSources = (value: unknown): value is RevocationSource | readonly RevocationSource[] => {
  return [value].flat().every(isSource);
};

const FLEET = '`fleet` of keyverify/fleet, in the same version';
const SOURCES = `an object with name, heartbeatMs, follow() and ${FLEET}, or an array of them`;

/** The longest delay that timers take; beyond it they fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const schema = lazy(() => {
  const duration = number((ms) => ms > 0, 'a positive number of milliseconds');
  const timer = number(
    (ms) => ms > 0 && ms <= LONGEST_TIMER_MS,
    'a positive number of milliseconds, up to 2 147 483 647',
  );
  // A cache takes memory for all its entries at once.
  const count = number(
    (n) => n > 0 && n <= 1e7 && Number.isSafeInteger(n),
    'a positive whole number, up to 10 000 000',
  );
  const flag = withDefault(check(isBoolean, 'true or false'), false);
  const breaker = {
    failureThreshold: withDefault(count, 5),
    openMs: withDefault(timer, 1_000),
    maxOpenMs: withDefault(timer, 5_000),
  };
  const options = {
    verifyUrl: anything(),
    serviceToken: check(isTokenSource, 'printable ASCII, or a function that returns it'),
    scope: optional(check(isScope, 'a string that is not empty, without line breaks or surrounding blanks')),
    cacheTtlMs: withDefault(duration, 300_000),
    rejectedTtlMs: withDefault(duration, 10_000),
    staleIfErrorMs: withDefault(
      number((ms) => ms >= 0, 'a number of milliseconds, 0 or more'),
      3_600_000,
    ),
    refreshAheadRatio: withDefault(
      number((ratio) => ratio > 0 && ratio <= 1, 'a number above 0, up to 1'),
      0.9,
    ),
    maxEntries: withDefault(count, 50_000),
    maxRejectedEntries: withDefault(count, 10_000),
    timeoutMs: withDefault(timer, 2_000),
    retries: withDefault(
      number((n) => n >= 0 && Number.isSafeInteger(n), 'a whole number, 0 or more'),
      1,
    ),
    maxConcurrency: withDefault(count, 64),
    breaker: strict(breaker, 'false, or an object of failureThreshold, openMs, maxOpenMs'),
    failOpen: flag,
    keyFormat: optional(
      check(isKeyFormat, 'a RegExp without the flags g and y, or a function that returns a boolean for any text'),
    ),
    controlKey: optional(check(isControlKey, 'a function that returns a new key each time')),
    claims: optional(check(isSchema, 'a Standard Schema')),
    protocol: optional(
      methods<WireProtocol>(['encode', 'decode'], 'an object with encode() and decode(), such as workos()'),
    ),
    fetch: optional(func<Fetch>()),
    dispatcher: optional(check(isDispatcher, 'an undici dispatcher, or a function that returns one')),
    transport: optional(methods<Transport>(['send'], 'an object with send()')),
    sharedCache: optional(check(isSharedCache, `an object with get(), put(), lease() and ${FLEET}`)),
    sharedTimeoutMs: withDefault(timer, 50),
    sharedNamespace: optional(check(isText, 'a string that is not empty')),
    revocations: withDefault(check(areSources, SOURCES), []),
    degradedTtlMs: withDefault(duration, 30_000),
    observers: withDefault(check(areObservers, 'an array of objects'), []),
    logger: optional(check(isLogger, 'an object with warn(), or false')),
    allowInsecureHttp: flag,
    dangerouslyAllowBrowser: flag,
    clock: optional(methods<Clock>(['wall', 'monotonic', 'after'], 'an object with wall(), monotonic() and after()')),
    random: optional(func<() => number>()),
  };
  return { Options: strict(options), names: { '': Object.keys(options), breaker: Object.keys(breaker) } };
});

/** The options with their defaults, and a sentence for each mistake in them. */
export function validateOptions(given: unknown) {
  const { Options, names } = schema();
  const parsed = parse(Options, given, { reportInput: true });
  const issues: string[] = parsed.success ? [] : issueMessages(parsed.error.issues, names);
  if (parsed.success) {
    const { openMs, maxOpenMs } = parsed.data.breaker;
    if (openMs > maxOpenMs) issues.push(`breaker.openMs: expected at most maxOpenMs, ${maxOpenMs}, got ${openMs}`);
  }
  const observers = fieldOf(given, 'observers');
  if (areObservers(observers)) issues.push(...observerIssues(observers));
  return { options: parsed.success ? parsed.data : undefined, issues };
}
