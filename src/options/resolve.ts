import { env, viaDispatcher } from '#platform';

import { systemClock, type Clock } from '../core/clock.js';
import type { Hooks, Logger } from '../core/events.js';
import { InvalidOptionsError } from '../core/failure.js';
import { issueMessages } from './messages.js';
import { lazy } from '../core/lazy.js';
import type { KeyVerifierOptions } from './options.js';
import type { DefaultClaims } from '../core/result.js';
import {
  anything,
  isBoolean,
  isFunction,
  isObject,
  isText,
  optional,
  withDefault,
  parse,
  strict,
  check,
} from '../core/schema.js';
import type { BreakerSettings } from '../resilience/breaker.js';
import { claimsAsSent, schemaReader, type ClaimsReader } from '../protocol/claims.js';
import type { Dispatcher } from '../transport/undici.js';
import { fetchTransport, type Fetch } from '../transport/fetch.js';
import { HEADER_VALUE, type TokenSource } from '../client/token.js';
import type { Transport } from '../transport/transport.js';
import { urlIssue } from './verify-url.js';

/** The options with their defaults, checked. */
export interface ResolvedOptions<Claims> extends Hooks<Claims> {
  readonly verifyUrl: string;
  readonly serviceToken: TokenSource;
  readonly scope: string | undefined;
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly staleIfErrorMs: number;
  readonly refreshAheadRatio: number;
  readonly maxEntries: number;
  readonly maxRejectedEntries: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxConcurrency: number;
  readonly breaker: BreakerSettings | false;
  readonly failOpen: boolean;
  readonly keyFormat: RegExp | undefined;
  readonly readClaims: ClaimsReader<Claims>;
  /** The caller's own, if there is one. */
  readonly transport: Transport | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

const number = (fits: (value: number) => boolean, expected: string) =>
  check((value): value is number => typeof value === 'number' && Number.isFinite(value) && fits(value), expected);
const func = <T>() => check((value): value is T => isFunction(value), 'a function');
const methods = <T>(names: readonly string[], expected: string) =>
  check(
    (value): value is T => isObject(value) && names.every((name) => isFunction(Reflect.get(value, name))),
    expected,
  );

const isTokenSource = (value: unknown): value is TokenSource =>
  isFunction(value) || (typeof value === 'string' && HEADER_VALUE.test(value));
const isKeyFormat = (value: unknown): value is RegExp => value instanceof RegExp && !value.global && !value.sticky;
const isSchema = (value: unknown): value is object => {
  const standard: unknown = (isObject(value) || isFunction(value)) && Reflect.get(value, '~standard');
  return isObject(standard) && isFunction(Reflect.get(standard, 'validate'));
};

/** The longest delay that timers take; beyond it they fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const schema = lazy(() => {
  const duration = number((ms) => ms > 0, 'a positive number of milliseconds');
  const timer = number(
    (ms) => ms > 0 && ms <= LONGEST_TIMER_MS,
    'a positive number of milliseconds, up to 2 147 483 647',
  );
  const count = number((n) => n > 0 && Number.isSafeInteger(n), 'a positive whole number');
  const flag = withDefault(check(isBoolean, 'true or false'), false);
  const hook = optional(func());
  const breaker = {
    failureThreshold: withDefault(count, 5),
    openMs: withDefault(timer, 1_000),
    maxOpenMs: withDefault(timer, 30_000),
  };
  const options = {
    verifyUrl: anything(),
    serviceToken: check(isTokenSource, 'visible characters without a line break, or a function that gives them'),
    scope: optional(check(isText, 'a string that is not empty')),
    cacheTtlMs: withDefault(duration, 300_000),
    rejectedTtlMs: withDefault(duration, 10_000),
    staleIfErrorMs: withDefault(
      number((ms) => ms >= 0, 'a number of milliseconds, 0 or more'),
      3_600_000,
    ),
    refreshAheadRatio: withDefault(
      number((share) => share > 0 && share <= 1, 'a number above 0, up to 1'),
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
    keyFormat: optional(check(isKeyFormat, 'a RegExp without the flags g and y')),
    claims: optional(check(isSchema, 'a Standard Schema')),
    fetch: optional(func<Fetch>()),
    dispatcher: optional(methods<Dispatcher>(['dispatch'], 'an undici dispatcher')),
    transport: optional(methods<Transport>(['send'], 'an object with send()')),
    logger: optional(methods<Logger>(['warn'], 'an object with warn()')),
    allowInsecureHttp: flag,
    dangerouslyAllowBrowser: flag,
    clock: optional(methods<Clock>(['wall', 'monotonic', 'after'], 'an object with wall(), monotonic() and after()')),
    random: optional(func<() => number>()),
    onVerdict: hook,
    onFailure: hook,
    onStale: hook,
    onFailOpen: hook,
    onBreakerChange: hook,
  };
  return { Options: strict(options), names: { '': Object.keys(options), breaker: Object.keys(breaker) } };
});

/** Checks the options, fills in environment and defaults; throws `InvalidOptionsError` with every mistake at once. */
export function resolveOptions<Claims = DefaultClaims>(
  options: KeyVerifierOptions<boolean, Claims>,
): ResolvedOptions<Claims> {
  const given = {
    ...options,
    verifyUrl: options.verifyUrl ?? fromEnv('KEYVERIFY_URL'),
    serviceToken: options.serviceToken ?? fromEnv('KEYVERIFY_SERVICE_TOKEN'),
    scope: options.scope ?? fromEnv('KEYVERIFY_SCOPE'),
    // Its parts have defaults of their own.
    breaker: options.breaker === undefined || options.breaker === false ? {} : options.breaker,
  };
  const { Options, names } = schema();
  const parsed = parse(Options, given, { reportInput: true });
  const found = parsed.success ? [] : issueMessages(parsed.error.issues, names);
  const url = urlIssue(given.verifyUrl, options.allowInsecureHttp === true);
  if (url !== undefined) found.unshift(`verifyUrl: ${url}`);
  const ways = [options.fetch, options.dispatcher, options.transport].filter((way) => way !== undefined);
  if (ways.length > 1) found.push('fetch, dispatcher, transport: expected one of them at the most');
  if (options.dispatcher !== undefined && viaDispatcher === undefined) found.push(NO_DISPATCHER);
  if (inBrowserWindow() && options.dangerouslyAllowBrowser !== true) found.push(IN_BROWSER);
  if (!parsed.success || found.length > 0) throw new InvalidOptionsError(found);

  const { fetch, dispatcher, transport, logger = console, clock = systemClock, random = Math.random } = parsed.data;
  const verifyUrl = String(given.verifyUrl);
  const dispatched = dispatcher && viaDispatcher?.(verifyUrl, () => dispatcher);
  return Object.freeze({
    ...parsed.data,
    verifyUrl,
    breaker: options.breaker !== false && parsed.data.breaker,
    readClaims: claimsReader(options.claims),
    transport: transport ?? dispatched ?? (fetch && fetchTransport(fetch)),
    logger,
    clock,
    random,
    onVerdict: options.onVerdict,
    onFailure: options.onFailure,
    onStale: options.onStale,
    onFailOpen: options.onFailOpen,
    onBreakerChange: options.onBreakerChange,
  });
}

/** A variable that is set to nothing counts as not set: that is how deployments leave one out. */
function fromEnv(name: string): string | undefined {
  const value = env(name);
  return value === '' ? undefined : value;
}

function claimsReader<Claims>(schema: KeyVerifierOptions<boolean, Claims>['claims']): ClaimsReader<Claims> {
  if (schema !== undefined) return schemaReader(schema);
  // Without a schema nothing can have inferred Claims, so it is its default.
  // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
  return claimsAsSent as ClaimsReader<never>;
}

const NO_DISPATCHER = 'dispatcher: expected none, since undici does not run here: pass fetch or transport';

const IN_BROWSER =
  'refused in a browser window, where everybody can read serviceToken; dangerouslyAllowBrowser: true allows it';

function inBrowserWindow(): boolean {
  return typeof window === 'object' && typeof document === 'object';
}
