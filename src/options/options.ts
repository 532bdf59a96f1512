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

/** The options of `new KeyVerifier()`. Every duration is in milliseconds. */
export interface KeyVerifierOptions<FailOpen extends boolean = false, Claims = DefaultClaims> {
  /**
   * The URL of the key server, e.g. `https://keys.example.com/internal/verify-key`: `https:`, or `http:` on a loopback address.
   * Default: the environment variable `KEYVERIFY_URL`, else the URL of `protocol` if it has one.
   */
  readonly verifyUrl?: string | URL | undefined;
  /**
   * This service's own token, sent as `X-Service-Token`, or a function that fetches it. The function is called for the first
   * question and again after a 401, but at most once a second, and ever more rarely while other callers are answered.
   * Default: the environment variable `KEYVERIFY_SERVICE_TOKEN`.
   */
  readonly serviceToken?: TokenSource | undefined;
  /**
   * Sent with each question: the key server, not this library, rejects keys of another scope (`scope_mismatch`). Some
   * protocols compare it with the tenant instead. Default: the environment variable `KEYVERIFY_SCOPE`, else none: keys of
   * every scope are accepted.
   */
  readonly scope?: string | undefined;
  /**
   * How long a verified key is served from the cache at most; jitter shortens it by up to 10 %. Default: 300 000
   * (5 minutes).
   */
  readonly cacheTtlMs?: number | undefined;
  /** How long a rejected key is served from the cache at most. Default: 10 000 (10 seconds). */
  readonly rejectedTtlMs?: number | undefined;
  /**
   * How long past its TTL a verified key is served in an outage; `0` disables it. After failures that callers can cause, at
   * most one more TTL. Default: 3 600 000 (1 hour).
   */
  readonly staleIfErrorMs?: number | undefined;
  /**
   * The fraction of the TTL after which a hit refreshes the verdict in the background; `1` disables it. Default: 0.9, or
   * 0.75 with a `sharedCache`.
   */
  readonly refreshAheadRatio?: number | undefined;
  /** How many verified keys are cached, up to 10 000 000; the least recently used is evicted. Default: 50 000. */
  readonly maxEntries?: number | undefined;
  /**
   * How many rejected keys are cached, up to 10 000 000, separately, so that made-up keys can't evict real ones. Default:
   * 10 000.
   */
  readonly maxRejectedEntries?: number | undefined;
  /**
   * How long a call may take, queuing and retries included; up to 0.1 s longer while the library checks whether this process
   * has a free thread. Default: 2 000 (2 seconds).
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How many times a request is repeated, within `timeoutMs`: with jitter if it failed, at once if it is not answered within
   * its share of the time, half of `timeoutMs` by default. `0` spares a server on which each question costs something.
   * Default: 1.
   */
  readonly retries?: number | undefined;
  /**
   * How many questions are asked at once. For new keys there is a lower limit, which adapts to the server. Up to 64 times
   * as many queue, for half of `timeoutMs`, or longer while others are answered. Has no effect on isolates. Default: 64.
   */
  readonly maxConcurrency?: number | undefined;
  /**
   * The circuit breaker; `false` disables it. It opens after 5 failures in a row with evidence of an outage
   * (`failureThreshold`). Then a control question probes the server every 1 000 ms (`openMs`), in a long outage every
   * 5 000 ms (`maxOpenMs`), until it answers. Default: `{ failureThreshold: 5, openMs: 1_000, maxOpenMs: 5_000 }`.
   */
  readonly breaker?: { readonly [Name in keyof BreakerOptions]?: number | undefined } | false | undefined;
  /**
   * Lets callers in without an identity while the key server is down and nothing is known about their key. Results may then
   * be `FailedOpen`, whose `client` and `tenant` are `null`. Default: `false`.
   */
  readonly failOpen?: FailOpen | undefined;
  /**
   * What a key looks like, e.g. `/^sk-[\w-]{32}$/`, or a function that returns `true` for a possible key, e.g. by its
   * checksum. Other keys are rejected as `malformed_key` without a request, and so is one for which the function throws.
   * The constructor tries the function once, with `'?'`, and refuses one that throws. Default: any key.
   */
  readonly keyFormat?: KeyFormat | undefined;
  /**
   * Makes up the key of a control question, for a key server that checks the format of keys before it looks them up. It must
   * return a new key each time, and never an issued one: the constructor calls it twice. Default: `keyverify-control-` and
   * 128 random bits. See https://github.com/keyverify/keyverify/blob/main/docs/outages.md#what-counts-as-an-outage
   */
  readonly controlKey?: (() => string) | undefined;
  /**
   * A Standard Schema (zod, valibot, arktype, ...) that checks and types the claims. It should return plain data: callers share
   * the claims, and of other values only each `Date`, `Map` and `Set` is frozen. Default: claims as they are sent.
   */
  readonly claims?: StandardSchemaV1<unknown, Claims> | undefined;
  /**
   * How a question and its answer look on the wire. Default: the contract of
   * https://github.com/keyverify/keyverify/blob/main/docs/protocol.md
   */
  readonly protocol?: WireProtocol | undefined;
  /**
   * Sends requests with this function. It must not make requests wait for a connection: pass a pool with a limit as
   * `dispatcher`. Default: an undici pool on Node.js, `fetch` elsewhere.
   */
  readonly fetch?: Fetch | undefined;
  /**
   * Sends requests through this undici dispatcher, or the one that the function returns for each request: for mutual TLS, a
   * private CA, a proxy, a Unix socket. `close()` does not close it. Not allowed in browsers and on isolates, where undici
   * does not run. Default: none.
   */
  readonly dispatcher?: Dispatcher | (() => Dispatcher) | undefined;
  /** Sends requests with this transport. `close()` does not close it. Default: none. */
  readonly transport?: Transport | undefined;
  /**
   * Where processes share verdicts, e.g. `redisCache()`: one process asks about a key, and all know the verdict, also one
   * that starts while the key server is down. Default: none.
   */
  readonly sharedCache?: SharedCache | undefined;
  /** How long an operation on the shared cache may take, as part of `timeoutMs`. Default: 50 (milliseconds). */
  readonly sharedTimeoutMs?: number | undefined;
  /**
   * Verifiers of one key server and scope share verdicts only if this text is the same. Required with `protocol` and
   * `sharedCache`: name the protocol and its settings, e.g. `unkey admin`. Default: none.
   */
  readonly sharedNamespace?: string | undefined;
  /** Where revocations come from, e.g. `redisRevocations()` or `sseRevocations()`. Not allowed on isolates. Default: none. */
  readonly revocations?: RevocationSource | readonly RevocationSource[] | undefined;
  /** How long a new verdict stays fresh at most while a stream of revocations is down. Default: 30 000 (30 seconds). */
  readonly degradedTtlMs?: number | undefined;
  /** Objects that are told what happens, e.g. `otel()`. Default: none. */
  readonly observers?: readonly Observer<Claims>[] | undefined;
  /**
   * Where log lines go: `console`, pino, winston or the like; `false` for nowhere. There is a line when an outage begins or
   * ends, when a caller is let in without an identity, and for every other kind of failure at most once a minute.
   * Default: `console`.
   */
  readonly logger?: Logger | false | undefined;
  /** Allows `http:` to another machine. Keys and the service token then travel unencrypted. Default: `false`. */
  readonly allowInsecureHttp?: boolean | undefined;
  /** Allows construction in a browser window, where anyone can read the service token. Default: `false`. */
  readonly dangerouslyAllowBrowser?: boolean | undefined;
  /** Time and timers, for tests: see `testClock()`. Default: the runtime's. */
  readonly clock?: Clock | undefined;
  /** Random numbers from 0 up to, not including, 1, for tests. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}
