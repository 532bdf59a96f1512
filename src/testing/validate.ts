import { isAdmissible, isHashable } from '../core/admit.js';
import { checkOptions, notOptions, optionIssues } from '../core/check-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { lazy } from '../core/lazy.js';
import { MAY_BE_SHOWN } from '../core/messages.js';
import { noFailures } from '../observe/stats.js';
import {
  check,
  fieldOf,
  func,
  isBoolean,
  isFunction,
  isObject,
  isString,
  isText,
  number,
  optional,
  type Shape,
} from '../core/schema.js';
import { isPlainObject } from '../protocols/pick.js';

export const text = () => check(isText, 'a string that is not empty');
const texts = () =>
  check(
    (value): value is readonly string[] => Array.isArray(value) && value.every(isText),
    'an array of strings that are not empty',
  );
export const ms = () => number((value) => value >= 0, 'a number of milliseconds, 0 or more');
export const status = () =>
  number((value) => value >= 200 && value <= 599 && Number.isInteger(value), 'a status, 200 to 599');
const object = () => check(isObject, 'an object');
const isDate = (value: unknown): boolean => Object.prototype.toString.call(value) === '[object Date]';
const time = () =>
  check(
    // A text or `null` would be read as a number, and be another time.
    (value): value is Date | number =>
      (typeof value === 'number' || isDate(value)) && !Number.isNaN(new Date(Number(value)).getTime()),
    'a Date, or epoch milliseconds',
  );

/** What is known of it says how the server speaks it: one with encode() and decode() of its own is no such protocol. */
const isDefined = (value: unknown): value is object => {
  const verdict = fieldOf(fieldOf(value, 'definition'), 'verdict');
  return isObject(verdict) || isFunction(verdict);
};
const isPublisher = (value: unknown): value is object => isFunction(fieldOf(value, 'publish'));

const isClock = (value: unknown): value is object =>
  isObject(value) && ['wall', 'monotonic', 'after'].every((name) => isFunction(Reflect.get(value, name)));

const shapes = lazy(() => {
  const record: Shape = {
    client: text(),
    tenant: text(),
    keyId: optional(text()),
    expiresAt: optional(time()),
    claims: optional(object()),
    reason: optional(text()),
  };
  const keys = check(isPlainObject, 'a plain object, such as { [key]: record }');
  const keyServer: Shape = {
    keys: optional(keys),
    protocol: optional(check(isDefined, 'what defineProtocol() or a preset returns, such as workos()')),
    respond: optional(func()),
    serviceTokens: optional(texts()),
    cacheControl: optional(text()),
    delayMs: optional(ms()),
    heartbeatMs: optional(number((value) => value > 0, 'a positive number of milliseconds')),
    publishTo: optional(check(isPublisher, 'a source of revocations with publish(), such as redisRevocations()')),
    now: optional(func()),
    port: optional(number((value) => Number.isInteger(value) && value >= 0 && value <= 65_535, 'a port, 0 to 65535')),
    host: optional(text()),
    keepAliveTimeoutMs: optional(ms()),
    tls: optional(object()),
  };
  const stub: Shape = {
    keys: optional(keys),
    failOpen: optional(check(isBoolean, 'true or false')),
    claims: optional(check((value): value is object => isObject(value) || isFunction(value), 'a Standard Schema')),
  };
  const kinds: readonly string[] = Object.keys(noFailures());
  const kind = check(
    (value): value is string => isString(value) && kinds.includes(value),
    `one of ${kinds.join(', ')}`,
  );
  return {
    clock: { wall: optional(time()) },
    advance: { ms: ms() },
    settle: {
      promise: check((value): value is Promise<unknown> => isFunction(fieldOf(value, 'then')), 'a promise'),
      atMostMs: ms(),
      stepMs: number((value) => value > 0, 'a positive number of milliseconds'),
    },
    jump: { ms: number(() => true, 'a number of milliseconds') },
    fleet: { clock: optional(check(isClock, 'an object with wall(), monotonic() and after()')) },
    failure: { kind },
    key: { key: check(isString, 'a string') },
    reason: { reason: text() },
    record: { ...record, scopes: optional(texts()) },
    stubRecord: record,
    keyServer,
    stub,
  };
});

const isRecord = (value: unknown): boolean =>
  isObject(value) && ['client', 'tenant', 'reason'].some((field) => Object.hasOwn(value, field));

/** One sentence for each mistake, without names that may be keys. */
function issuesOf(shape: Shape, given: unknown): readonly string[] {
  const entries = isObject(given) && !Array.isArray(given) ? Object.entries<unknown>({ ...given }) : [];
  const named = entries.filter(
    ([name, value]) => Object.hasOwn(shape, name) || (MAY_BE_SHOWN.test(name) && !isRecord(value)),
  );
  if (named.length === entries.length) return optionIssues(shape, given);
  return [...optionIssues(shape, Object.fromEntries(named)), MAY_BE_KEY];
}

const MAY_BE_KEY = 'an unknown name is not shown, since it may be a key: write { keys: { [key]: record } }';

/** Once there is a mistake in the options, those in the records of `keys` are listed, too. */
function checkWithoutKeys(shape: Shape, options: unknown, hasScopes: boolean): void {
  const issues = issuesOf(shape, options);
  if (issues.length > 0)
    throw new InvalidOptionsError([...issues, ...keysIssues(fieldOf(options, 'keys'), { hasScopes })]);
}

/** The options of the testing kit. What is checked elsewhere, such as a schema, is only looked at. */
export const checkKeyServer = (options: unknown): void => checkWithoutKeys(shapes().keyServer, options, true);
export const checkStub = (options: unknown): void => checkWithoutKeys(shapes().stub, options, false);
export const checkTestClock = (options: unknown): unknown => checkOptions(shapes().clock, options);
export const checkMemoryFleet = (options: unknown): unknown => checkOptions(shapes().fleet, options);
export const checkAdvance = (ms: unknown): unknown => checkOptions(shapes().advance, { ms });
export const checkSettle = (promise: unknown, atMostMs: unknown, stepMs: unknown): unknown =>
  checkOptions(shapes().settle, { promise, atMostMs, stepMs });
export const checkKey = (key: unknown): unknown => checkOptions(shapes().key, { key });
export const checkReason = (reason: unknown): unknown => checkOptions(shapes().reason, { reason });
export const checkJump = (ms: unknown): unknown => checkOptions(shapes().jump, { ms });
export const checkKind = (kind: unknown): unknown => checkOptions(shapes().failure, { kind });
export const checkTokens = (serviceTokens: unknown): unknown =>
  checkOptions({ serviceTokens: texts() }, { serviceTokens });

/** What a record has to fulfill besides its types. */
export interface RecordRules {
  /** Whether it may have `scopes`. */
  readonly hasScopes: boolean;
  /** Where the protocol reads both client and tenant from, if that is one place: no response could say two. */
  readonly ownerAt?: string | undefined;
  /** Fields of the protocol, which a claim can't replace. */
  readonly reserved?: readonly string[] | undefined;
}

/** What is wrong with what is known about a key, which is not named: it may be a real one. `place`: which record it is. */
export function recordIssues(record: unknown, rules: RecordRules, place: string): readonly string[] {
  const none = notOptions(record, place);
  if (none !== undefined) return [none];
  const { hasScopes, ownerAt, reserved = [] } = rules;
  const issues = issuesOf(hasScopes ? shapes().record : shapes().stubRecord, record);
  const isTwo = issues.length === 0 && ownerAt !== undefined && fieldOf(record, 'client') !== fieldOf(record, 'tenant');
  const owner = isTwo
    ? [`tenant: expected the same text as client, since the protocol reads both from ${ownerAt}`]
    : [];
  const claims = fieldOf(record, 'claims');
  const lost = reserved.filter((name) => fieldOf(claims, name) !== undefined);
  const claimed = lost.map((name) => `claims.${name}: expected a name that is not a field of the contract`);
  // A stub knows no scopes, and in the claims they would not be any.
  const hinted = issues.map((issue) => issue.replace(/^(?!scopes:)(.+no such option)$/, '$1: put it into claims'));
  return [...hinted, ...owner, ...claimed].map((issue) => `${place}: ${issue}`);
}

/** What is wrong with a key that is issued or rejected: a verifier would deny it without a question. */
export function keyIssues(key: string, place: string): readonly string[] {
  if (isHashable(key) && isAdmissible(key, undefined)) return [];
  const isBearer = key.slice(0, SCHEME.length).toLowerCase() === SCHEME;
  return [
    `${place}: ${isBearer ? 'leave out "Bearer "' : 'expected up to 4096 characters, not blank, without control characters'}`,
  ];
}

const SCHEME = 'bearer ';

/** What is wrong with several keys and their records. */
export const keysIssues = (keys: unknown, rules: RecordRules): readonly string[] =>
  Object.entries<unknown>(isObject(keys) ? { ...keys } : {}).flatMap(([key, record], at) => [
    ...keyIssues(key, `keys, key ${at + 1}`),
    ...recordIssues(record, rules, `keys, record ${at + 1}`),
  ]);
