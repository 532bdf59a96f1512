import type { StandardSchemaV1 } from '@standard-schema/spec';

import { sha256 } from '#platform';

import { selects } from '../cache/invalidation-log.js';
import { parseSelector } from '../cache/selector.js';
import { isAdmissible, isHashable, localRejection } from '../core/admit.js';
import { wrongCallOptions } from '../core/call-options.js';
import { mayBeOutage, VerifyFailure, type FailureKind } from '../core/failure.js';
import {
  failedClosed,
  rejected,
  verified,
  type DefaultClaims,
  type Rejected,
  type Verified,
  type VerifyResult,
} from '../core/result.js';
import type { CheckOptions, CheckResult, Health } from '../core/health.js';
import type { Selector } from '../core/selector.js';
import { NO_FLEET_STATS, type Stats } from '../core/stats.js';
import {
  VERIFY_NOW,
  type AnyVerifyOptions,
  type PresentedKey,
  type Verifier,
  type VerifyOptions,
} from '../core/verifier.js';
import { noFailures, ResultCounter } from '../observe/stats.js';
import { decide } from '../cache/policy.js';
import { claimsReader, type ClaimsReader } from '../protocol/claims.js';
import { decodeResponse } from '../protocol/decode.js';
import { defaultProtocol } from '../protocol/default.js';
import { CONTRACT_FIELDS, KeyBook, type BookEntry, type KeyRecord } from './book.js';
import { checkKind, checkStub } from './validate.js';

/** The options of `stubVerifier()`. */
export interface StubVerifierOptions<FailOpen extends boolean = false, Claims = DefaultClaims> {
  /** The keys that it knows, with the client, tenant and claims of each. Default: none. */
  readonly keys?: Readonly<Record<string, Omit<KeyRecord, 'scopes'>>> | undefined;
  /** Whether a call may fail open while the stub is unavailable. Default: `false`. */
  readonly failOpen?: FailOpen | undefined;
  /** A Standard Schema that types and checks the claims, as in `KeyVerifierOptions`. Default: claims as they are given. */
  readonly claims?: StandardSchemaV1<unknown, Claims> | undefined;
}

type Result<Claims> = VerifyResult<Claims, boolean>;
type Served<Claims> = Verified<Claims> | Rejected;

interface CachedVerdict<Claims> {
  readonly result: Served<Claims>;
  /** Epoch milliseconds. */
  readonly storedAt: number;
}

/**
 * A stand-in for `KeyVerifier` without a network, made by `stubVerifier()`. A verdict is cached until the key expires, or is
 * rejected, invalidated or cleared.
 */
export class StubVerifier<FailOpen extends boolean = false, Claims = DefaultClaims> implements Verifier<
  FailOpen,
  Claims
> {
  readonly #book: KeyBook;
  readonly #failOpen: boolean;
  readonly #readClaims: ClaimsReader<Claims>;
  /** By fingerprint. */
  readonly #cache = new Map<string, CachedVerdict<Claims>>();
  /** Fingerprints that must be asked about before they are let in, as after `KeyVerifier.invalidate()`. */
  readonly #invalidated = new Set<string>();
  readonly #counter = new ResultCounter();
  #failure: VerifyFailure | undefined;
  #calls = 0;
  /** Since when it is available or not, in epoch milliseconds. */
  #since = Date.now();

  constructor(options: StubVerifierOptions<FailOpen, Claims>) {
    checkStub(options);
    const { keys, failOpen, claims } = options;
    this.#book = new KeyBook(keys, { hasScopes: false, reserved: CONTRACT_FIELDS });
    this.#failOpen = failOpen === true;
    this.#readClaims = claimsReader(claims);
  }

  /** How many times `verify()` and `verifyCached()` were called. */
  get calls(): number {
    return this.#calls;
  }

  /** Rejects a key from now on. Default reason: `'revoked'`. */
  reject(key: string, reason: Rejected['reason'] = 'revoked'): void {
    this.#book.reject(key, reason);
    // Known to be rejected, but older than any call allows: it is asked about once more.
    if (reason === 'rate_limited') this.#cache.delete(sha256(key));
    else this.#cache.set(sha256(key), { result: rejected('cache', reason), storedAt: -Infinity });
  }

  /**
   * Learns nothing new from now on, until `recover()`. As in an outage of the key server, a key that was verified before is
   * served as `stale`, one that was rejected stays rejected, and any other fails. `clear()` makes every key fail. A kind
   * that can be an outage counts as a proven one, so that `failOpen` opens. Default kind: `'unreachable'`. Throws
   * `InvalidOptionsError` for an unknown kind.
   */
  unavailable(kind: FailureKind = 'unreachable'): void {
    checkKind(kind);
    const evidence = mayBeOutage({ kind }) ? 'proven' : 'none';
    this.#failure = new VerifyFailure(kind, `the stub is set to fail as ${kind}`, { evidence });
    this.#since = Date.now();
  }

  /** Ends `unavailable()`. */
  recover(): void {
    this.#failure = undefined;
    this.#since = Date.now();
  }

  /** Verifies one key. Rejects only with the reason of the caller's own `signal`. */
  verify(key: PresentedKey, options?: VerifyOptions): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed for this call. */
  verify(
    key: PresentedKey,
    options: VerifyOptions<false> & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open for this call. */
  verify(key: PresentedKey, options?: AnyVerifyOptions): Promise<Result<Claims>>;
  verify(key: PresentedKey, options: AnyVerifyOptions = {}): Promise<Result<Claims>> {
    return new Promise((resolve) => {
      const wrong = wrongCallOptions(options);
      if (wrong === undefined) options.signal?.throwIfAborted();
      resolve(wrong === undefined ? this[VERIFY_NOW](key, options) : this.#counter.count(failedClosed(wrong)));
    });
  }

  /** The method by which guards ask. */
  [VERIFY_NOW](key: PresentedKey, options: AnyVerifyOptions): Result<Claims> | Promise<Result<Claims>> {
    this.#calls++;
    if (!isVerifiable(key)) return this.#counter.count(localRejection(key));
    const cached = this.#cached(key, options);
    return cached === undefined ? this.#load(key, options) : this.#counter.count(cached);
  }

  /** The result if the verdict is cached, else `undefined`. Counts like `verify()`. */
  verifyCached(key: PresentedKey, options: AnyVerifyOptions = {}): Served<Claims> | undefined {
    if (wrongCallOptions(options) !== undefined) return undefined;
    this.#calls++;
    const served = isVerifiable(key) ? this.#cached(key, options) : localRejection(key);
    return served && this.#counter.count(served);
  }

  /** The cached verdict, else `undefined`. Has no side effects. */
  peek(key: PresentedKey): Served<Claims> | undefined {
    return isVerifiable(key) ? this.#cached(key, {}) : localRejection(key);
  }

  /** Forgets verdicts and returns how many. Throws `InvalidOptionsError` for a wrong selector. */
  invalidate(selector: Selector): number {
    const stored = parseSelector(selector, sha256, 'invalidate');
    const selected = [...this.#cache].filter(([fingerprint, { result }]) => selects(stored, fingerprint, result));
    for (const [fingerprint] of selected) {
      this.#cache.delete(fingerprint);
      this.#invalidated.add(fingerprint);
    }
    if ('fingerprint' in stored) this.#invalidated.add(stored.fingerprint);
    return selected.length;
  }

  /** The same as `invalidate()`. Rejects with `InvalidOptionsError` for a wrong selector. */
  // eslint-disable-next-line @typescript-eslint/require-await
  async revoke(selector: Selector): Promise<void> {
    this.invalidate(selector);
  }

  /** Forgets every verdict. */
  clear(): void {
    this.#cache.clear();
    this.#invalidated.clear();
  }

  /** Does nothing: there is nothing to load. */
  async warmUp(): Promise<void> {
    // As documented.
  }

  /** Counts of its results, and of its cached verdicts. What needs a key server is zero. */
  stats(): Stats {
    const results = [...this.#cache.values()].map(({ result }) => result.valid);
    const count = results.filter((valid) => valid).length;
    const entries = { verified: count, rejected: results.length - count };
    return { ...NOTHING, ...NO_FLEET_STATS, ...this.#counter.snapshot(), failures: noFailures(), entries };
  }

  /** `down` between `unavailable()` and `recover()`. */
  health(): Health {
    const [since, failure] = [this.#since, this.#failure];
    if (failure === undefined) return { status: 'ok', since, breaker: 'closed' };
    return { status: 'down', since, failure, breaker: 'closed' };
  }

  /** Ok, except between `unavailable()` and `recover()`. Rejects only with the reason of the caller's own `signal`. */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    const wrong = wrongCallOptions(options);
    if (wrong === undefined) options.signal?.throwIfAborted();
    const failure = wrong ?? this.#failure;
    return await Promise.resolve({ ok: failure === undefined, ...(failure && { failure }), latencyMs: 0 });
  }

  /** Does nothing: there is nothing to close. */
  async close(): Promise<void> {
    // As documented.
  }

  /** The same as `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #cached(key: string, { maxAgeMs = Infinity }: AnyVerifyOptions): Served<Claims> | undefined {
    const cached = this.#cache.get(sha256(key));
    if (cached === undefined || this.#failure !== undefined) return undefined;
    const { result, storedAt } = cached;
    const now = Date.now();
    return hasEnded(result, now) || now - storedAt >= maxAgeMs ? undefined : result;
  }

  async #load(key: string, options: AnyVerifyOptions): Promise<Result<Claims>> {
    const loaded = this.#failure ?? (await this.#ask(key));
    if (!(loaded instanceof VerifyFailure)) return this.#counter.count(loaded);
    const failOpen: unknown = options.failOpen ?? this.#failOpen;
    const mayOpen = failOpen === true && !this.#invalidated.has(sha256(key));
    return this.#counter.count(decide(this.#stale(key, options), loaded, mayOpen));
  }

  /** What is known of the key when there is no verdict. */
  #stale(key: string, { maxAgeMs = Infinity }: AnyVerifyOptions): Served<Claims> | undefined {
    const cached = this.#cache.get(sha256(key));
    if (cached === undefined) return undefined;
    const { result, storedAt } = cached;
    if (!result.valid) return rejected('stale', result.reason);
    const now = Date.now();
    if (hasEnded(result, now)) return rejected('stale', 'expired');
    return now - storedAt < maxAgeMs ? verified('stale', result) : undefined;
  }

  async #ask(key: string): Promise<Served<Claims> | VerifyFailure> {
    const now = Date.now();
    // Not by the book's clock: whether a key has expired is seen when its verdict is read.
    const found = this.#book.find(key, undefined, -Infinity);
    const result = typeof found === 'string' ? rejected('server', found) : await this.#read(key, found, now);
    // A rate limit is a state of the key, not a verdict on it.
    if (result instanceof VerifyFailure || (!result.valid && result.reason === 'rate_limited')) return result;
    const hit = result.valid ? verified('cache', result) : rejected('cache', result.reason);
    this.#cache.set(sha256(key), { result: hit, storedAt: now });
    this.#invalidated.delete(sha256(key));
    return result;
  }

  /** Reads a verdict as `KeyVerifier` does, so that claims are what JSON makes of them. */
  async #read(key: string, issued: BookEntry, now: number): Promise<Served<Claims> | VerifyFailure> {
    const body = new TextEncoder().encode(issued.verdict);
    const response = { status: 200, header: (name: string) => HEADERS[name], body };
    const verdict = decodeResponse(defaultProtocol, response, { secrets: [key], askedAt: now, scope: undefined });
    if ('failure' in verdict) return invalid(verdict.failure.message);
    if (verdict.kind === 'rejected') return verdict.result;
    try {
      const read = await this.#readClaims(verdict.claims);
      if ('wrong' in read) return unfit(`do not fit the schema: ${read.wrong}`);
      return verified('server', { ...verdict, claims: read.claims, verifiedAt: now });
    } catch {
      return unfit('make the schema fail');
    }
  }
}

const HEADERS: Readonly<Record<string, string>> = { 'content-type': 'application/json' };

/** What a stub never does. */
const NOTHING = {
  requests: 0,
  retries: 0,
  coalesced: 0,
  refreshes: 0,
  evictions: 0,
  active: 0,
  queued: 0,
  controls: 0,
  breaker: 'closed',
} as const;

const hasEnded = (result: Served<unknown>, now: number): boolean =>
  result.valid && result.expiresAt !== undefined && result.expiresAt <= now;

const isVerifiable = (key: unknown): key is string => isHashable(key) && isAdmissible(key, undefined);

const unfit = (problem: string): VerifyFailure =>
  new VerifyFailure('misconfigured', `the stub knows this key, but its claims ${problem}`);

const invalid = (problem: string): VerifyFailure =>
  new VerifyFailure('invalid_response', `the stub knows this key, but not as a verdict: ${problem}`);

/**
 * A stand-in for a `KeyVerifier` in unit tests. To test against a network and its faults, use `startKeyServer()`. Throws
 * `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const verifier = stubVerifier({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
 * await verifier.verify('sk-1'); // verified
 * verifier.unavailable('timeout');
 * await verifier.verify('sk-1'); // verified, stale
 * await verifier.verify('sk-2'); // failed-closed
 * ```
 */
export function stubVerifier<const FailOpen extends boolean = false, Claims = DefaultClaims>(
  options: StubVerifierOptions<FailOpen, Claims> = {},
): StubVerifier<FailOpen, Claims> {
  return new StubVerifier(options);
}
