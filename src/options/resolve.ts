import { env, sharesPromises } from '#platform';
import { dispatcherTransport, fetchTransport } from '#transport';

import { fits, type KeyFormat } from '../core/admit.js';
import type { BreakerOptions } from '../core/breaker.js';
import { notOptions } from '../core/check-options.js';
import { systemClock, type Clock } from '../core/clock.js';
import { randomControlKey } from '../core/control-key.js';
import { InvalidOptionsError } from '../core/errors.js';
import type { Observer } from '../core/events.js';
import type { Logger } from '../core/logger.js';
import type { DefaultClaims } from '../core/result.js';
import type { TokenSource } from '../core/token.js';
import { fieldOf, isObject } from '../core/schema.js';
import type { RevocationSource } from '../fleet/revocation.js';
import type { SharedCache } from '../fleet/shared-cache.js';
import { claimsReader, type ClaimsReader } from '../protocol/claims.js';
import { defaultProtocol } from '../protocol/default.js';
import type { WireProtocol } from '../protocol/protocol.js';
import type { Transport } from '../transport/transport.js';
import type { KeyVerifierOptions } from './options.js';
import { validateOptions } from './validate.js';
import { urlIssue } from './verify-url.js';

/** The options with their defaults, checked. */
export interface ResolvedOptions<Claims> {
  readonly verifyUrl: string;
  /** Origin and path of `verifyUrl`: what may be shown of it. */
  readonly publicUrl: string;
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
  readonly breaker: BreakerOptions | false;
  readonly failOpen: boolean;
  readonly keyFormat: KeyFormat | undefined;
  readonly controlKey: () => string;
  readonly readClaims: ClaimsReader<Claims>;
  readonly protocol: WireProtocol;
  /** The caller's own, if there is one. */
  readonly transport: Transport | undefined;
  readonly sharedCache: SharedCache | undefined;
  readonly sharedTimeoutMs: number;
  readonly sharedNamespace: string | undefined;
  readonly revocations: readonly RevocationSource[];
  readonly degradedTtlMs: number;
  readonly observers: readonly Observer<Claims>[];
  readonly logger: Logger | false;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Checks the options, fills in environment and defaults; throws `InvalidOptionsError` with every mistake at once. */
export function resolveOptions<Claims = DefaultClaims>(
  options: KeyVerifierOptions<boolean, Claims>,
): ResolvedOptions<Claims> {
  const notAny = notOptions(options);
  if (notAny !== undefined) throw new InvalidOptionsError([notAny]);
  const protocol = isObject(options.protocol) ? options.protocol : defaultProtocol;
  const { serviceToken: ownToken } = protocol;
  const { scope = env(ENV.scope), breaker = {} } = options;
  const { refreshAheadRatio = options.sharedCache === undefined ? undefined : SHARED_REFRESH_RATIO } = options;
  const given = {
    ...options,
    // An empty variable counts as not set, but is named if nothing else is given.
    verifyUrl: options.verifyUrl ?? fromEnv(ENV.verifyUrl) ?? protocol.url ?? env(ENV.verifyUrl),
    serviceToken: ownToken ?? options.serviceToken ?? env(ENV.serviceToken),
    // Neither `null` nor an empty variable is none: without a scope, keys of every scope are verified.
    scope,
    // Its parts have defaults of their own.
    breaker: breaker === false ? {} : breaker,
    refreshAheadRatio,
  };
  const { options: valid, issues } = validateOptions(given);
  const url = urlIssue(given.verifyUrl, options.allowInsecureHttp === true);
  if (url !== undefined) issues.unshift(`verifyUrl: ${url}`);
  const givenToken: unknown = options.serviceToken;
  if (ownToken !== undefined && givenToken !== undefined) issues.push(OWN_TOKEN);
  // It is what a protocol without a token says.
  else if (givenToken === false) issues.push('serviceToken: expected a token, got false');
  if (given.scope !== undefined && protocol.scope !== 'sent' && protocol.scope !== 'compared') issues.push(NO_SCOPE);
  const ways = [options.fetch, options.dispatcher, options.transport].filter((way) => way !== undefined);
  if (ways.length > 1) issues.push('fetch, dispatcher, transport: expected at most one of them');
  if (options.dispatcher !== undefined && dispatcherTransport === undefined) issues.push(NO_DISPATCHER);
  if (!sharesPromises && [options.revocations ?? []].flat().length > 0) issues.push(NO_STREAMS);
  if (options.sharedCache !== undefined && options.protocol !== undefined && options.sharedNamespace === undefined)
    issues.push(NO_NAMESPACE);
  const isInBrowser = typeof window === 'object' && typeof document === 'object';
  if (isInBrowser && options.dangerouslyAllowBrowser !== true) issues.push(IN_BROWSER);
  const passed = { ...options, serviceToken: ownToken ?? options.serviceToken };
  if (valid === undefined || issues.length > 0)
    throw new InvalidOptionsError(issues.map((issue) => withVariable(issue, passed)));

  const { fetch, dispatcher, transport } = valid;
  const { logger = console, clock = systemClock, random = Math.random, controlKey = randomControlKey } = valid;
  const verifyUrl = String(given.verifyUrl);
  const { origin, pathname } = new URL(verifyUrl);
  return Object.freeze({
    ...valid,
    verifyUrl,
    // Nothing is sent then.
    serviceToken: valid.serviceToken === false ? '' : valid.serviceToken,
    keyFormat: keyFormatFor(protocol, valid.keyFormat),
    publicUrl: origin + pathname,
    breaker: breaker !== false && valid.breaker,
    revocations: [valid.revocations].flat(),
    readClaims: claimsReader(options.claims),
    protocol,
    transport:
      transport ?? (dispatcher && dispatcherTransport?.(verifyUrl, dispatcher)) ?? (fetch && fetchTransport(fetch)),
    observers: options.observers ?? [],
    logger,
    clock,
    random,
    controlKey,
  });
}

/** Earlier than alone: the other processes need time to come by the verdict before theirs ends. */
const SHARED_REFRESH_RATIO = 0.75;

/** The variables that stand in for options. */
const ENV = { verifyUrl: 'KEYVERIFY_URL', serviceToken: 'KEYVERIFY_SERVICE_TOKEN', scope: 'KEYVERIFY_SCOPE' } as const;

/** Names the variable that a wrong value comes from. */
function withVariable(issue: string, passed: object): string {
  for (const [name, variable] of Object.entries(ENV))
    if (issue.startsWith(`${name}:`) && fieldOf(passed, name) === undefined && env(variable) !== undefined)
      return issue.replace(name, `${name} (${variable})`);
  return issue;
}

/** A variable that is set to nothing counts as not set: that is how deployments leave one out. */
function fromEnv(name: string): string | undefined {
  const value = env(name);
  return value === '' ? undefined : value;
}

/** What a protocol can't send, it must not be asked about: nothing but the key would be to blame. */
function keyFormatFor(protocol: WireProtocol, keyFormat: KeyFormat | undefined): KeyFormat | undefined {
  if (protocol.admits === undefined) return keyFormat;
  return (key) => protocol.admits?.(key) === true && fits(key, keyFormat);
}

const OWN_TOKEN = 'serviceToken: expected none, since this protocol does not use it';

const NO_SCOPE = 'scope: expected none, since this protocol does not use it';

const NO_DISPATCHER = 'dispatcher: undici does not run here: pass fetch or transport';

const NO_STREAMS = 'revocations: expected none, since here a stream ends with its request';

const NO_NAMESPACE = 'sharedNamespace: expected a name for protocol and its settings';

const IN_BROWSER = 'refused in a browser, where anyone can read serviceToken; or pass dangerouslyAllowBrowser: true';
