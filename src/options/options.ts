import type { StandardSchemaV1 } from '@standard-schema/spec';

import type { Clock } from '../core/clock.js';
import type { Hooks, Logger } from '../core/events.js';
import type { DefaultClaims } from '../core/result.js';
import type { BreakerSettings } from '../resilience/breaker.js';
import type { Dispatcher } from '../transport/undici.js';
import type { Fetch } from '../transport/fetch.js';
import type { TokenSource } from '../client/token.js';
import type { Transport } from '../transport/transport.js';

/** What a `KeyVerifier` is built from. Every duration is in milliseconds. */
export interface KeyVerifierOptions<FailOpen extends boolean = false, Claims = DefaultClaims> extends Hooks<Claims> {
  /**
   * Where the key server answers, e.g. `https://admin.internal/internal/verify-key`. `https:`, or `http:` to this very
   * machine. Default: the environment variable `KEYVERIFY_URL`.
   */
  readonly verifyUrl?: string | URL | undefined;
  /**
   * This service's own token, sent as `X-Service-Token`, or a function that fetches it: called when the first token is
   * needed, and once more when the key server answers 401. Default: the environment variable `KEYVERIFY_SERVICE_TOKEN`.
   */
  readonly serviceToken?: TokenSource | undefined;
  /** Refuses other customers' keys: sent with each question. Default: `KEYVERIFY_SCOPE`, else every customer's are taken. */
  readonly scope?: string | undefined;
  /** How long a verified key is served from the cache, at the most. Default: 300 000 (5 minutes). */
  readonly cacheTtlMs?: number | undefined;
  /** How long a refused key is refused from the cache, at the most. Default: 10 000. */
  readonly rejectedTtlMs?: number | undefined;
  /** How long past its TTL a verdict is honoured while the key server gives none; 0 for not at all. Default: 3 600 000 (1 hour). */
  readonly staleIfErrorMs?: number | undefined;
  /** The share of its TTL after which a hit refreshes a verdict in the background; 1 for never. Default: 0.9. */
  readonly refreshAheadRatio?: number | undefined;
  /** How many verified keys are remembered. Default: 50 000. */
  readonly maxEntries?: number | undefined;
  /** How many refused keys are remembered, in a cache of their own. Default: 10 000. */
  readonly maxRejectedEntries?: number | undefined;
  /** How long anybody waits for an answer, retries included. Default: 2 000. */
  readonly timeoutMs?: number | undefined;
  /** How many more requests are sent when one fails, within `timeoutMs`. Default: 1. */
  readonly retries?: number | undefined;
  /**
   * How many requests to the key server run at once; up to 64 times as many wait, for half of `timeoutMs` at the most. Not
   * on isolates. Default: 64.
   */
  readonly maxConcurrency?: number | undefined;
  /**
   * When to leave a key server alone that is out; `false` for never.
   * Default: after 5 failures in a row (`failureThreshold`), for 1 000 (`openMs`) doubling up to 30 000 (`maxOpenMs`).
   */
  readonly breaker?: { readonly [Name in keyof BreakerSettings]?: number | undefined } | false | undefined;
  /**
   * Lets callers in, without an identity, while the key server is out and nothing is known of their key.
   * Default: `false`. Take care: results then may be `FailedOpen`, whose `client` and `tenant` are `null`.
   */
  readonly failOpen?: FailOpen | undefined;
  /** What a key looks like, e.g. `/^sk-[\w-]{32}$/`: others are refused as `malformed_key`, without a question. */
  readonly keyFormat?: RegExp | undefined;
  /** A Standard Schema (zod, valibot, arktype, ...) that types and checks whatever else the key server says of a key. */
  readonly claims?: StandardSchemaV1<unknown, Claims> | undefined;
  /** Asks by this `fetch` instead of the runtime's own transport. */
  readonly fetch?: Fetch | undefined;
  /**
   * Asks through this undici dispatcher: for mutual TLS, a private CA, a proxy, a unix socket. It is not closed by `close()`.
   * Refused in browsers and on isolates, where undici does not run.
   */
  readonly dispatcher?: Dispatcher | undefined;
  /** Asks by this transport, for whatever neither of them can do. It is not closed by `close()`. */
  readonly transport?: Transport | undefined;
  /** Where the one warning goes that this library gives, at most once a minute: wrong settings. Default: `console`. */
  readonly logger?: Logger | undefined;
  /** Allows `http:` to another machine. Keys and the service token then travel in the clear. Default: `false`. */
  readonly allowInsecureHttp?: boolean | undefined;
  /** Allows construction in a browser window, where everybody can read the service token. Default: `false`. */
  readonly dangerouslyAllowBrowser?: boolean | undefined;
  /** The clocks, for tests. Default: the runtime's. */
  readonly clock?: Clock | undefined;
  /** Chance, from 0 up to but not including 1, for tests. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}
