import { optionIssues } from '../core/check-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { lazy } from '../core/lazy.js';
import type { DefaultClaims, Verified } from '../core/result.js';
import { sentence, shown } from '../core/messages.js';
import { anything, check, fieldOf, isBoolean, isFunction, isObject, optional } from '../core/schema.js';
import { KEY_SOURCE, keySourceIssues } from './check-key-sources.js';
import type { DenialContext, DenialOverrides, ProblemDetails } from './denial.js';
import type { KeySource } from './key-sources.js';
import { withPlaceForGuard, withPlaceForRoute } from './verifier-options.js';

/** The identity of a caller: `null` is in the type only if the key is optional or the verifier may fail open. */
export type IdentityOf<Claims, FailOpen extends boolean, Optional extends boolean> =
  Verified<Claims> | (true extends FailOpen | Optional ? null : never);

/** The options that may differ from route to route. `undefined` keeps the guard's own. */
export interface RouteOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> {
  /** Admits requests without a key, with `null` as identity. A key that is sent must still be valid. Default: `false`. */
  readonly optional?: Optional | undefined;
  /** Overrides the verifier's `failOpen`. A caller who is let in that way has `null` as identity. Default: the verifier's. */
  readonly failOpen?: FailOpen | undefined;
  /** The oldest acceptable verdict, in milliseconds; `0` asks the key server every time. Default: any within its TTL. */
  readonly maxAgeMs?: number | undefined;
  /**
   * Whether this caller may make this request. Anything but `true` is a 403 (reason `not_allowed`); an error is a 500.
   * Default: every caller with a valid key may.
   */
  readonly authorize?: ((identity: IdentityOf<Claims, FailOpen, Optional>) => boolean | Promise<boolean>) | undefined;
}

/** The options of a guard, and of `apiKeyAuth` in every adapter. */
export interface GuardOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> extends RouteOptions<Claims, FailOpen, Optional> {
  /** Where to look for the key. More than one key in a request is a 400. Default: `['bearer', { header: 'x-api-key' }]`. */
  readonly keySources?: readonly KeySource[] | undefined;
  /** The realm in `WWW-Authenticate`: printable ASCII without quotes and backslashes. Default: `'api'`. */
  readonly realm?: string | undefined;
  /**
   * Called for every denial, except when the caller has left (499). It may change the response by what it returns, but can't
   * admit the caller: if it throws, or returns something that can't be sent, the response is a plain 500. Default: the
   * problem details are sent.
   */
  readonly onDenied?:
    | ((
        problem: ProblemDetails,
        context: DenialContext,
        // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a hook that only logs returns nothing
      ) => DenialOverrides | undefined | void | Promise<DenialOverrides | undefined | void>)
    | undefined;
}

/** Printable, and nothing that could end the quoted string it is part of. */
const REALM = /^[ !#-[\]-~]*$/;

const areSome = (value: unknown): value is readonly KeySource[] => Array.isArray(value) && value.length > 0;

const schemas = lazy(() => {
  const flag = () => optional(check(isBoolean, 'true or false'));
  const func = () => optional(check(isFunction, 'a function'));
  const route = {
    optional: flag(),
    failOpen: flag(),
    maxAgeMs: optional(
      check((value): value is number => typeof value === 'number' && value >= 0, 'a number of milliseconds, 0 or more'),
    ),
    authorize: func(),
  };
  const guard = {
    ...route,
    keySources: optional(check(areSome, `an array of at least one ${KEY_SOURCE}`)),
    realm: optional(
      check(
        (value): value is string => typeof value === 'string' && REALM.test(value),
        'printable ASCII without quotes and backslashes',
      ),
    ),
    onDenied: func(),
  };
  return { route, guard };
});

/** Refuses what is no handler: else it would be missed only by the first request that is admitted. */
export function checkHandler(name: string, handler: unknown): void {
  if (!isFunction(handler)) throw new InvalidOptionsError([sentence(name, 'a function', handler)]);
}

/** Refuses what would guard a route otherwise than it reads, a misspelled option first of all. */
export function checkRouteOptions(options: unknown): void {
  const issues = routeIssues(options);
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}

/** One sentence for each mistake in the options of a route. */
export const routeIssues = (options: unknown): readonly string[] =>
  optionIssues(schemas().route, options).map(withPlaceForRoute);

const isVerifier = (value: unknown): boolean => isObject(value) && isFunction(Reflect.get(value, 'verify'));

const isPromise = (value: unknown): boolean => isFunction(fieldOf(value, 'then'));

/** Says what came in place of a verifier, and what to write. */
function verifierIssue(given: unknown): string {
  const wrong = `verifier: expected an object with verify(), or a function that returns one, got ${shown(given)}`;
  if (isPromise(given)) return `${wrong}: await the verifier first`;
  if (isVerifier(fieldOf(given, 'verifier'))) return `${wrong}: pass the verifier itself`;
  const isOptions = isObject(given) && ('verifyUrl' in given || 'serviceToken' in given);
  return isOptions ? `${wrong}: write new KeyVerifier({ verifyUrl, serviceToken })` : wrong;
}

/** What a function returned in place of a verifier. The message is a whole sentence. */
class NoVerifier extends TypeError {}

/** Not by `instanceof`: anything may be thrown, such as a proxy on which that throws. */
export const isNoVerifier = (error: unknown): boolean => fieldOf(error, 'constructor') === NoVerifier;

/** Refuses what a function returned in place of a verifier. */
export function checkVerifier<V>(verifier: V): V {
  if (isVerifier(verifier)) return verifier;
  throw new NoVerifier(`the function that creates the verifier returned ${inPlaceOf(verifier)}`);
}

function inPlaceOf(verifier: unknown): string {
  if (isPromise(verifier)) return 'a promise: await the verifier first';
  const got = shown(verifier);
  return got === 'an object' ? 'an object without verify()' : `${got}, not an object with verify()`;
}

/** As for a route, and the rest, the verifier included. */
export function checkGuardOptions(verifier: unknown, options: unknown): void {
  const isSource = isFunction(verifier) || isVerifier(verifier);
  // `app.use(apiKeyAuth)`: a framework calls it with a request, and nothing else is worth saying then.
  if (!isSource && isObject(verifier) && ('headers' in verifier || 'req' in verifier))
    throw new InvalidOptionsError([
      'verifier: got a request: write apiKeyAuth(verifier), not apiKeyAuth, as the handler',
    ]);
  // `app.use(apiKeyAuth(verifier.verify))`: the name of a method is kept, and no function that makes a verifier needs a key.
  if (isFunction(verifier) && verifier.length > 0 && /^(?:bound )?verify$/.test(verifier.name))
    throw new InvalidOptionsError(['verifier: got its method verify(): pass the verifier itself']);
  const { guard } = schemas();
  // A plugin takes it as one of its options.
  const shape = isSource ? guard : { ...guard, verifier: optional(anything()) };
  const issues = optionIssues(shape, options).map(withPlaceForGuard);
  const sources = fieldOf(options, 'keySources');
  if (Array.isArray(sources)) issues.push(...keySourceIssues(sources));
  // A class is a function, too, but one that can't be called.
  if (isFunction(verifier) && isVerifier(Reflect.get(verifier, 'prototype')))
    throw new InvalidOptionsError([
      `verifier: expected an instance, got the class: write new ${verifier.name}(...)`,
      ...issues,
    ]);
  if (!isSource) throw new InvalidOptionsError([verifierIssue(verifier), ...issues]);
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}

/** What holds for one request. */
export type RouteSettings = { readonly [Name in keyof RouteOptions]: RouteOptions[Name] | undefined };

/** The options of a route before those of its guard. Name by name: spread, an `undefined` would lift a rule. */
export function settingsOf(route: RouteSettings, guard: RouteSettings): RouteSettings {
  return {
    optional: route.optional ?? guard.optional,
    failOpen: route.failOpen ?? guard.failOpen,
    maxAgeMs: route.maxAgeMs ?? guard.maxAgeMs,
    authorize: route.authorize ?? guard.authorize,
  };
}
