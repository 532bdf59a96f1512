import type { StandardSchemaV1 } from '@standard-schema/spec';

import type { KeyFormat } from '../core/admit.js';
import type { BreakerOptions } from '../core/breaker.js';
import type { Clock } from '../core/clock.js';
import type { Observer } from '../core/events.js';
import type { DefaultClaims } from '../core/result.js';
import type { Logger } from '../core/logger.js';
import type { TokenSource } from '../core/token.js';
import type { RevocationSource } from '../fleet/revocation.js';
import type { SharedCache } from '../fleet/shared-cache.js';
import type { WireProtocol } from '../protocol/protocol.js';
import type { Fetch } from '../transport/fetch.js';
import type { Transport } from '../transport/transport.js';
import type { Dispatcher } from '../transport/dispatcher.js';

/** What a `KeyVerifier` is built from. Every duration is in milliseconds. */
export interface KeyVerifierOptions<FailOpen extends boolean = false, Claims = DefaultClaims> {
  /**
   * Where the key server answers, e.g. `https://admin.internal/internal/verify-key`. `https:`, or `http:` to this machine.
   * Default: the environment variable `KEYVERIFY_URL`, else the address that the protocol has of its own.
   */
  readonly verifyUrl?: string | URL | undefined;
  /**
   * This service's own token, sent as `X-Service-Token`, or a function that fetches it: called for the first question, and
   * again when the key server answers 401, at most five times at once and then once a second. Default: the environment variable `KEYVERIFY_SERVICE_TOKEN`.
   */
  readonly serviceToken?: TokenSource | undefined;
  /**
   * Sent with each question: the key server rejects other customers' keys. Default: `KEYVERIFY_SCOPE`, else none, and keys
   * of every customer are accepted.
   */
  readonly scope?: string | undefined;
  /** How long a verified key is served from the cache, at most. Default: 300 000 (5 minutes). */
  readonly cacheTtlMs?: number | undefined;
  /** How long a rejected key is rejected from the cache, at most. Default: 10 000. */
  readonly rejectedTtlMs?: number | undefined;
  /**
   * How long past its TTL a verdict is honoured while the key server gives none; 0 for not at all. Default: 3 600 000
   * (1 hour). For failures that callers can cause, at most one more TTL.
   */
  readonly staleIfErrorMs?: number | undefined;
  /**
   * The ratio of its TTL after which a hit refreshes a verdict in the background; 1 for never. Default: 0.9, with a
   * `sharedCache` 0.75.
   */
  readonly refreshAheadRatio?: number | undefined;
  /** How many verified keys are cached. Default: 50 000. */
  readonly maxEntries?: number | undefined;
  /** How many rejected keys are cached, in a cache of their own. Default: 10 000. */
  readonly maxRejectedEntries?: number | undefined;
  /** How long a call may take, retries included. Default: 2 000. */
  readonly timeoutMs?: number | undefined;
  /** How often a failed request is repeated, within `timeoutMs`. Default: 1. */
  readonly retries?: number | undefined;
  /**
   * How many requests to the key server run at once. Of unknown keys fewer at first: that limit adapts to what the server
   * bears. Up to 64 times as many wait, for half of `timeoutMs`, or longer while others are answered. Not on isolates. Default: 64.
   */
  readonly maxConcurrency?: number | undefined;
  /**
   * The circuit breaker; `false` disables it. Default: opens after 5 failures in a row for which there is evidence of an
   * outage (`failureThreshold`), and asks a control question every 1 000 (`openMs`), in long outages up to every 5 000
   * (`maxOpenMs`), until the key server answers again.
   */
  readonly breaker?: { readonly [Name in keyof BreakerOptions]?: number | undefined } | false | undefined;
  /**
   * Lets callers in without an identity while the key server is down and nothing is known of their key.
   * Default: `false`. With `true`, results may be `FailedOpen`, whose `client` and `tenant` are `null`.
   */
  readonly failOpen?: FailOpen | undefined;
  /**
   * What a key looks like, e.g. `/^sk-[\w-]{32}$/`, or a function, e.g. one that checks a checksum in the key: other keys
   * are rejected as `malformed_key` without asking. A function that throws rejects. Default: any key.
   */
  readonly keyFormat?: KeyFormat | undefined;
  /**
   * Makes the key of a control question, see docs/outages.md: for a key server that checks the format of keys before it
   * looks them up. It must be new each time and never be a key that was issued. Default: `keyverify-control-` and 128
   * random bits.
   */
  readonly controlKey?: (() => string) | undefined;
  /** A Standard Schema (zod, valibot, arktype, ...) that types and checks the claims. Default: claims as they are sent. */
  readonly claims?: StandardSchemaV1<unknown, Claims> | undefined;
  /** How a question and its answer look on the wire. Default: the contract of docs/protocol.md. */
  readonly protocol?: WireProtocol | undefined;
  /**
   * Sends requests by this `fetch` instead of the runtime's own transport. It must not make requests wait for a connection:
   * pass a pool with a limit as `dispatcher`.
   */
  readonly fetch?: Fetch | undefined;
  /**
   * Sends requests through this undici dispatcher, or the one that this function returns at each request: for mutual TLS, a
   * private CA, a proxy, a unix socket. It is not closed by `close()`. Refused in browsers and on isolates, where undici
   * does not run.
   */
  readonly dispatcher?: Dispatcher | (() => Dispatcher) | undefined;
  /** Sends requests by this transport. It is not closed by `close()`. */
  readonly transport?: Transport | undefined;
  /**
   * Where processes share verdicts, e.g. `redisCache()`: one asks, all know, also one that starts while the key server is
   * down. Default: none.
   */
  readonly sharedCache?: SharedCache | undefined;
  /** How long an operation on the shared cache may take. Default: 50. */
  readonly sharedTimeoutMs?: number | undefined;
  /**
   * Verifiers of one key server and scope share verdicts if this is the same, too. Needed with `protocol`: name it and its
   * settings, e.g. `unkey admin`. Default: none.
   */
  readonly sharedNamespace?: string | undefined;
  /** Where revocations come from, e.g. `redisRevocations()` or `sseRevocations()`. Default: none. */
  readonly revocations?: RevocationSource | readonly RevocationSource[] | undefined;
  /** How long a verdict is fresh, at most, while a source of revocations is down. Default: 30 000. */
  readonly degradedTtlMs?: number | undefined;
  /** Told what happens. Default: none. */
  readonly observers?: readonly Observer<Claims>[] | undefined;
  /**
   * Where lines for the log go: `console`, pino, winston or the like; `false` for nowhere. They tell when an outage begins
   * and ends, when callers are let in without an identity, and of every other kind of failure at most once a minute.
   * Default: `console`.
   */
  readonly logger?: Logger | false | undefined;
  /** Allows `http:` to another machine. Keys and the service token then travel in the clear. Default: `false`. */
  readonly allowInsecureHttp?: boolean | undefined;
  /** Allows construction in a browser window, where everybody can read the service token. Default: `false`. */
  readonly dangerouslyAllowBrowser?: boolean | undefined;
  /** The clocks, for tests. Default: the runtime's. */
  readonly clock?: Clock | undefined;
  /** Random numbers from 0 up to, not including, 1, for tests. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}
