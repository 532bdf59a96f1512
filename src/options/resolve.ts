import { env, viaDispatcher } from '#platform';

import { systemClock, type Clock } from '../core/clock.js';
import type { Hooks, Logger } from '../core/events.js';
import { InvalidOptionsError } from '../core/failure.js';
import { mistakes } from './messages.js';
import { once } from '../core/lazy.js';
import type { KeyVerifierOptions } from './options.js';
import type { DefaultClaims } from '../core/result.js';
import { anything, isBoolean, isFunction, isObject, isText, optional, or, parse, strict, that } from '../core/schema.js';
import type { BreakerSettings } from '../resilience/breaker.js';
import { claimsAsSent, schemaReader, type ClaimsReader } from '../protocol/claims.js';
import type { Dispatcher } from '../transport/undici.js';
import { fetchTransport, type Fetch } from '../transport/fetch.js';
import { HEADER_VALUE, type TokenSource } from '../client/token.js';
import type { Transport } from '../transport/transport.js';
import { urlMistake } from './verify-url.js';

/** The options with their defaults, checked. */
export interface Settings<Claims> extends Hooks<Claims> {
  readonly verifyUrl: string;
  readonly serviceToken: TokenSource;
  readonly scope: string | undefined;
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly staleIfErrorMs: number;
  readonly refreshAhead: number;
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
  that((value): value is number => typeof value === 'number' && Number.isFinite(value) && fits(value), expected);
const func = <T>() => that((value): value is T => isFunction(value), 'a function');
const methods = <T>(names: readonly string[], expected: string) =>
  that((value): value is T => isObject(value) && names.every((name) => isFunction(Reflect.get(value, name))), expected);

const isTokenSource = (value: unknown): value is TokenSource =>
  isFunction(value) || (typeof value === 'string' && HEADER_VALUE.test(value));
const isKeyFormat = (value: unknown): value is RegExp => value instanceof RegExp && !value.global && !value.sticky;
const isSchema = (value: unknown): value is object => {
  const standard: unknown = (isObject(value) || isFunction(value)) && Reflect.get(value, '~standard');
  return isObject(standard) && isFunction(Reflect.get(standard, 'validate'));
};

/** The longest delay that timers take; beyond it they fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const schema = once(() => {
  const duration = number((ms) => ms > 0, 'a positive number of milliseconds');
  const timer = number(
    (ms) => ms > 0 && ms <= LONGEST_TIMER_MS,
    'a positive number of milliseconds, up to 2 147 483 647',
  );
  const count = number((n) => n > 0 && Number.isSafeInteger(n), 'a positive whole number');
  const flag = or(that(isBoolean, 'true or false'), false);
  const hook = optional(func());
  const breaker = {
    failureThreshold: or(count, 5),
    openMs: or(timer, 1_000),
    maxOpenMs: or(timer, 30_000),
  };
  const options = {
    verifyUrl: anything(),
    serviceToken: that(isTokenSource, 'visible characters without a line break, or a function that gives them'),
    scope: optional(that(isText, 'a string that is not empty')),
    cacheTtlMs: or(duration, 300_000),
    rejectedTtlMs: or(duration, 10_000),
    staleIfErrorMs: or(
      number((ms) => ms >= 0, 'a number of milliseconds, 0 or more'),
      3_600_000,
    ),
    refreshAhead: or(
      number((share) => share > 0 && share <= 1, 'a number above 0, up to 1'),
      0.9,
    ),
    maxEntries: or(count, 50_000),
    maxRejectedEntries: or(count, 10_000),
    timeoutMs: or(timer, 2_000),
    retries: or(
      number((n) => n >= 0 && Number.isSafeInteger(n), 'a whole number, 0 or more'),
      1,
    ),
    maxConcurrency: or(count, 64),
    breaker: strict(breaker, 'false, or an object of failureThreshold, openMs, maxOpenMs'),
    failOpen: flag,
    keyFormat: optional(that(isKeyFormat, 'a RegExp without the flags g and y')),
    claims: optional(that(isSchema, 'a Standard Schema')),
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
export function resolveOptions<Claims = DefaultClaims>(options: KeyVerifierOptions<boolean, Claims>): Settings<Claims> {
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
  const found = parsed.success ? [] : mistakes(parsed.error.issues, names);
  const url = urlMistake(given.verifyUrl, options.allowInsecureHttp === true);
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
