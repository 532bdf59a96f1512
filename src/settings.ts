import * as z from 'zod/mini';

import { env } from '#platform';

import { systemClock, type Clock } from './cache/clock.js';
import type { Hooks, Logger } from './events.js';
import { InvalidOptionsError } from './failure.js';
import { mistakes } from './mistakes.js';
import { once } from './once.js';
import type { KeyVerifierOptions } from './options.js';
import type { DefaultClaims } from './result.js';
import type { BreakerSettings } from './server/breaker.js';
import { claimsAsSent, schemaReader, type ClaimsReader } from './server/claims.js';
import { dispatcherTransport, type Dispatcher } from './server/dispatcher.js';
import { fetchTransport, type Fetch } from './server/fetch.js';
import { HEADER_VALUE, type TokenSource } from './server/token.js';
import type { Transport } from './server/transport.js';
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

const method = (name: string) => (value: unknown) =>
  typeof value === 'object' && value !== null && name in value && typeof Reflect.get(value, name) === 'function';
const isClock = (value: unknown): boolean => ['wall', 'monotonic', 'after'].every((name) => method(name)(value));
const isSchema = (value: unknown): boolean =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  method('validate')(Reflect.get(value, '~standard'));
const isFunction = (value: unknown): boolean => typeof value === 'function';

/** The longest delay that timers take; beyond it they fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const schema = once(() => {
  const duration = z.number().check(z.positive());
  const timer = z.number().check(z.positive(), z.maximum(LONGEST_TIMER_MS));
  const count = z.int().check(z.positive());
  const flag = z._default(z.boolean(), false);
  const hook = z.optional(z.custom<(event: never) => unknown>(isFunction));
  const token = z.string().check(z.regex(HEADER_VALUE));
  return z.strictObject({
    verifyUrl: z.unknown(),
    serviceToken: z.union([token, z.custom<Exclude<TokenSource, string>>(isFunction)]),
    scope: z.optional(z.string().check(z.minLength(1))),
    cacheTtlMs: z._default(duration, 300_000),
    rejectedTtlMs: z._default(duration, 10_000),
    staleIfErrorMs: z._default(z.number().check(z.nonnegative()), 3_600_000),
    refreshAhead: z._default(z.number().check(z.positive(), z.maximum(1)), 0.9),
    maxEntries: z._default(count, 50_000),
    maxRejectedEntries: z._default(count, 10_000),
    timeoutMs: z._default(timer, 2_000),
    retries: z._default(z.int().check(z.nonnegative()), 1),
    maxConcurrency: z._default(count, 64),
    breaker: z._default(
      z.union([
        z.literal(false),
        z.strictObject({
          failureThreshold: z._default(count, 5),
          openMs: z._default(timer, 1_000),
          maxOpenMs: z._default(timer, 30_000),
        }),
      ]),
      { failureThreshold: 5, openMs: 1_000, maxOpenMs: 30_000 },
    ),
    failOpen: flag,
    keyFormat: z.optional(z.custom<RegExp>((value) => value instanceof RegExp && !value.global && !value.sticky)),
    claims: z.optional(z.custom<object>(isSchema)),
    fetch: z.optional(z.custom<Fetch>(isFunction)),
    dispatcher: z.optional(z.custom<Dispatcher>(method('dispatch'))),
    transport: z.optional(z.custom<Transport>(method('send'))),
    logger: z._default(z.custom<Logger>(method('warn')), console),
    allowInsecureHttp: flag,
    dangerouslyAllowBrowser: flag,
    clock: z.optional(z.custom<Clock>(isClock)),
    random: z._default(z.custom<() => number>(isFunction), () => Math.random),
    onVerdict: hook,
    onFailure: hook,
    onStale: hook,
    onFailOpen: hook,
    onBreakerChange: hook,
  });
});

/** Checks the options, fills in environment and defaults; throws `InvalidOptionsError` with every mistake at once. */
export function resolveOptions<Claims = DefaultClaims>(options: KeyVerifierOptions<boolean, Claims>): Settings<Claims> {
  const given = {
    ...options,
    verifyUrl: options.verifyUrl ?? fromEnv('KEYVERIFY_URL'),
    serviceToken: options.serviceToken ?? fromEnv('KEYVERIFY_SERVICE_TOKEN'),
    scope: options.scope ?? fromEnv('KEYVERIFY_SCOPE'),
  };
  const Options = schema();
  const parsed = Options.safeParse(given);
  const found = parsed.success ? [] : mistakes(parsed.error.issues, given, Object.keys(Options.shape));
  const url = urlMistake(given.verifyUrl, options.allowInsecureHttp === true);
  if (url !== undefined) found.unshift(`verifyUrl: ${url}`);
  const ways = [options.fetch, options.dispatcher, options.transport].filter((way) => way !== undefined);
  if (ways.length > 1) found.push('fetch, dispatcher, transport: expected one of them at the most');
  if (inBrowserWindow() && options.dangerouslyAllowBrowser !== true) found.push(IN_BROWSER);
  if (!parsed.success || found.length > 0) throw new InvalidOptionsError(found);

  const { fetch, dispatcher, transport, scope, keyFormat, clock = systemClock } = parsed.data;
  const verifyUrl = String(given.verifyUrl);
  const dispatched = dispatcher && dispatcherTransport(verifyUrl, () => dispatcher);
  return Object.freeze({
    ...parsed.data,
    verifyUrl,
    scope,
    keyFormat,
    clock,
    readClaims: claimsReader(options.claims),
    transport: transport ?? dispatched ?? (fetch && fetchTransport(fetch)),
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

const IN_BROWSER =
  'refused in a browser window, where everybody can read serviceToken; dangerouslyAllowBrowser: true allows it';

function inBrowserWindow(): boolean {
  return typeof window === 'object' && typeof document === 'object';
}
