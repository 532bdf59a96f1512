import { diagnosticsObserver, sha256 } from '#platform';

import type { Entry } from './cache/entry.js';
import { parseSelector } from './cache/selector.js';
import { VerdictCache, shareOf } from './cache/verdict-cache.js';
import { toCheckResult } from './client/checks.js';
import { VerdictLoader } from './client/loader.js';
import { isAdmissible, isHashable, localRejection } from './core/admit.js';
import { wrongCallOptions } from './core/call-options.js';
import { cachedClock, type Instant } from './core/clock.js';
import { VerifyFailure } from './core/failure.js';
import { toHex } from './core/fingerprint.js';
import type { CheckOptions, CheckResult, Health } from './core/health.js';
import type { DefaultClaims, Rejected, Verified, VerifyResult } from './core/result.js';
import type { Selector, StoredSelector } from './core/selector.js';
import type { Stats } from './core/stats.js';
import {
  VERIFY_NOW,
  WARN,
  type AnyVerifyOptions,
  type PresentedKey,
  type Verifier,
  type VerifyOptions,
} from './core/verifier.js';
import { Observers } from './observe/observers.js';
import { ResultCounter } from './observe/stats.js';
import type { KeyVerifierOptions } from './options/options.js';
import { resolveOptions, type ResolvedOptions } from './options/resolve.js';
import { decide, staleResult } from './cache/policy.js';

/** What it threw may quote the key. */
const THREW = { message: 'keyverify: keyFormat() failed: a key was rejected.' };
const NO_OPTIONS: AnyVerifyOptions = Object.freeze({});

type Result<Claims> = VerifyResult<Claims, boolean>;
type Served<Claims> = Verified<Claims> | Rejected;

/** A selector as events and other processes are told of it. */
const toPublic = (stored: StoredSelector): StoredSelector =>
  'fingerprint' in stored ? { fingerprint: toHex(stored.fingerprint) } : stored;

/**
 * Verifies API keys against a central key server. Build one for each service and scope at start, and share it: the cache
 * is its own.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({
 *   verifyUrl: 'https://keys.example.com/internal/verify-key',
 *   serviceToken: process.env.KEYVERIFY_SERVICE_TOKEN,
 * });
 * const result = await verifier.verify(key);
 * if (result.status === 'verified') console.log(result.client, result.tenant);
 * ```
 */
export class KeyVerifier<FailOpen extends boolean = false, Claims = DefaultClaims> implements Verifier<
  FailOpen,
  Claims
> {
  readonly #options: ResolvedOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #observers: Observers<Claims>;
  readonly #loader: VerdictLoader<Claims>;
  readonly #now: () => Instant;
  readonly #counter = new ResultCounter();
  readonly #onThrow = () => this.#loader.logs.mistake(THREW, this.#options.clock.monotonic());

  /** Throws `InvalidOptionsError`, which names every mistake at once. */
  constructor(options: KeyVerifierOptions<FailOpen, Claims> = {}) {
    this.#options = resolveOptions(options);
    this.#cache = new VerdictCache(this.#options);
    this.#observers = new Observers([...diagnosticsObserver(), ...this.#options.observers]);
    this.#now = cachedClock(this.#options.clock);
    this.#loader = new VerdictLoader(
      this.#options,
      this.#cache,
      this.#observers,
      () => this.#counter.snapshot().statuses,
    );
    this.#observers.tell((o) => o.onAttach?.(this));
  }

  /**
   * Verifies one key. Failures of the network or the key server are results, too: it rejects only with the reason of the
   * caller's own `signal`.
   */
  verify(key: PresentedKey, options?: VerifyOptions): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed for this call. */
  verify(
    key: PresentedKey,
    options: VerifyOptions<false> & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open for this call. */
  verify(key: PresentedKey, options?: AnyVerifyOptions): Promise<Result<Claims>>;
  verify(key: PresentedKey, options: AnyVerifyOptions = NO_OPTIONS): Promise<Result<Claims>> {
    const wrong = options === NO_OPTIONS ? undefined : wrongCallOptions(options);
    if (wrong !== undefined) {
      this.#loader.logs.mistake(wrong, this.#options.clock.monotonic());
      return Promise.resolve(this.#counter.count(decide<Claims>(undefined, wrong, false)));
    }
    const { signal } = options;
    // What an executor throws is what its promise rejects with.
    if (signal?.aborted === true) return new Promise(() => signal.throwIfAborted());
    const result = this.#verify(key, options);
    return result instanceof Promise ? result : Promise.resolve(result);
  }

  /** Like `verify()`, but without a promise where no wait is needed, and with a signal that is made only for a wait. */
  [VERIFY_NOW](
    key: PresentedKey,
    options: AnyVerifyOptions,
    signal?: () => AbortSignal,
  ): Result<Claims> | Promise<Result<Claims>> {
    return this.#verify(key, options, signal);
  }

  /** Writes to the log what a guard has to say. */
  [WARN](line: string): void {
    this.#loader.logs.quoting(line);
  }

  /**
   * The result if no wait is needed, else `undefined`. Counts, and refreshes ahead, like `verify()`:
   * `verifier.verifyCached(key) ?? (await verifier.verify(key))` spares a cached verdict its promise.
   */
  verifyCached(key: PresentedKey, options: AnyVerifyOptions = NO_OPTIONS): Served<Claims> | undefined {
    if (options !== NO_OPTIONS && wrongCallOptions(options) !== undefined) return undefined;
    if (!isHashable(key)) return this.#counter.count(localRejection(key));
    const fingerprint = sha256(key);
    const entry = this.#cache.get(fingerprint);
    return entry && this.#serve(fingerprint, key, entry, options);
  }

  /** The fresh verdict in the cache, if there is one. Asks nothing, counts nothing and refreshes nothing. */
  peek(key: PresentedKey): Served<Claims> | undefined {
    if (!isHashable(key)) return localRejection(key);
    const entry = this.#cache.get(sha256(key));
    if (entry === undefined) return isAdmissible(key, this.#options.keyFormat) ? undefined : localRejection(key);
    return entry.age(this.#now()) < entry.ttlMs ? entry.result : undefined;
  }

  /**
   * Forgets verdicts in this process, including those in flight: the selected keys are asked about anew, and
   * until then they are neither served nor let in. Returns how many verdicts were forgotten at once: by anything but the key
   * or its fingerprint, in a cache of more than 512 verdicts, the others are forgotten when they are looked up, so that no
   * call blocks the event loop for long. Throws `InvalidOptionsError` for a selector that isn't one.
   */
  invalidate(selector: Selector): number {
    return this.#invalidate(parseSelector(selector, sha256, 'invalidate'));
  }

  /**
   * The same, in this process at once and then in every process that follows the same stream of revocations. Resolves when
   * it is published; rejects with `NotPublishedError` if that failed, and with `InvalidOptionsError` like `invalidate()`.
   */
  async revoke(selector: Selector): Promise<void> {
    const stored = parseSelector(selector, sha256, 'revoke');
    this.#invalidate(stored);
    await this.#loader.publish(toPublic(stored));
  }

  /**
   * Forgets every verdict. A key that was rejected or invalidated, or has expired, is still not let in because of a failure. To
   * stop keys in use, call `invalidate()`.
   */
  clear(): void {
    this.#loader.detach();
    const count = this.#cache.clear(this.#now());
    this.#observers.tell((o) => o.onInvalidate?.({ selector: 'all', count }));
  }

  /**
   * Loads what the first question would have to wait for: the transport, the service token, and revocations that are
   * retained. Rejects if there is no token to be had.
   */
  async warmUp(): Promise<void> {
    await this.#loader.warmUp();
  }

  /** What happened so far, in numbers. */
  stats(): Stats {
    return { ...this.#counter.snapshot(), ...this.#loader.counts };
  }

  /** What is known about the key server, without asking it: by the latest questions, control questions included. */
  health(): Health {
    return this.#loader.health;
  }

  /**
   * Asks the key server about a random key of its own now, or as soon as a second has passed since that was last done. Failures
   * are results: it rejects only with the reason of the caller's own `signal`.
   */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    const wrong = wrongCallOptions(options);
    return wrong === undefined ? await this.#loader.check(options) : toCheckResult(0, wrong);
  }

  /**
   * Waits for the questions that are being asked and closes the connections. Cached verdicts are served on; other calls
   * fail as `misconfigured` from then on. May be called again.
   */
  async close(): Promise<void> {
    await this.#loader.close();
    this.#observers.tell((o) => o.onDetach?.(this));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #invalidate(stored: StoredSelector): number {
    this.#loader.detach('fingerprint' in stored ? stored.fingerprint : undefined);
    const count = this.#cache.invalidate([{ selector: stored }], this.#options.clock.monotonic());
    this.#observers.tell((o) => o.onInvalidate?.({ selector: toPublic(stored), count }));
    return count;
  }

  #verify(
    key: PresentedKey,
    options: AnyVerifyOptions,
    signal?: () => AbortSignal,
  ): Result<Claims> | Promise<Result<Claims>> {
    if (!isHashable(key)) return this.#counter.count(localRejection(key));
    const fingerprint = sha256(key);
    const entry = this.#cache.get(fingerprint);
    const served = entry && this.#serve(fingerprint, key, entry, options);
    if (served !== undefined) return served;
    // Only those who have to wait pay for an async function. Nor is one promise kept for all hits: under
    // AsyncLocalStorage a promise holds on to the request that made it.
    return this.#load(fingerprint, key, entry, signal === undefined ? options : { ...options, signal: signal() });
  }

  /** The hot path: what is cached and needs no wait. Counts it. */
  #serve(
    fingerprint: string,
    key: string,
    entry: Entry<Claims>,
    options: AnyVerifyOptions,
  ): Served<Claims> | undefined {
    const now = this.#now();
    const age = entry.age(now);
    this.#cache.touch(fingerprint, entry, age);
    if (age < entry.ttlMs && age < (options.maxAgeMs ?? Infinity)) {
      if (age >= entry.refreshAtAge || this.#loader.isOpen)
        this.#refreshAhead(fingerprint, key, entry, age, now.mono, options);
      return entry.isVerified ? this.#counter.hit(entry.result) : this.#counter.count(entry.result);
    }
    const backoff = entry.backoffFailure(now.mono) ?? this.#loader.slowStart.heldBackBy(shareOf(fingerprint), now.mono);
    const failure = backoff ?? this.#loader.blockedBy(now.mono);
    const stale = failure && this.#stale(fingerprint, entry, age, failure, options);
    if (stale === undefined) return undefined;
    if (backoff === undefined) this.#loader.trickle(fingerprint, key, entry, now.mono, options);
    return this.#counter.count(stale);
  }

  #refreshAhead(
    fingerprint: string,
    key: string,
    entry: Entry<Claims>,
    age: number,
    mono: number,
    options: AnyVerifyOptions,
  ): void {
    // Control questions may fail while keys in use would be answered.
    if (this.#loader.isOpen) this.#loader.trickle(fingerprint, key, entry, mono, options);
    if (age < entry.refreshAtAge) return;
    const isBlocked = (entry.backoffFailure(mono) ?? this.#loader.blockedBy(mono)) !== undefined;
    // Where the refresh succeeds, another entry takes the place of this one.
    if (isBlocked || this.#loader.refresh(fingerprint, key, options)) entry.deferRefresh(age, this.#options.random);
  }

  async #load(
    fingerprint: string,
    key: string,
    entry: Entry<Claims> | undefined,
    options: AnyVerifyOptions,
  ): Promise<Result<Claims>> {
    // Only here is the signal of a guard known: who has left already has nothing asked for.
    options.signal?.throwIfAborted();
    if (entry === undefined && !isAdmissible(key, this.#options.keyFormat, this.#onThrow))
      return this.#counter.count(localRejection(key));
    const outcome = await this.#loader.load(fingerprint, key, options);
    const result = outcome instanceof VerifyFailure ? this.#decide(fingerprint, outcome, options) : outcome;
    return this.#counter.count(result);
  }

  #decide(fingerprint: string, failure: VerifyFailure, options: AnyVerifyOptions): Result<Claims> {
    // Read anew: another caller may have learned of the key meanwhile, or invalidated it.
    const entry = this.#cache.get(fingerprint);
    const stale = entry && this.#stale(fingerprint, entry, entry.age(this.#now()), failure, options);
    const failOpen: unknown = options.failOpen ?? this.#options.failOpen;
    // By identity: without a compiler it may be 'false'.
    const mayOpen = failOpen === true && !this.#cache.isInvalidated(fingerprint);
    const result = decide(stale, failure, mayOpen);
    if (result.status === 'failed-open') {
      this.#loader.logs.failedOpen();
      this.#observers.tell((o) => o.onFailOpen?.({ fingerprint: toHex(fingerprint), failure, result }));
    }
    return result;
  }

  #stale(
    fingerprint: string,
    entry: Entry<Claims>,
    age: number,
    failure: VerifyFailure,
    { maxAgeMs = Infinity }: AnyVerifyOptions,
  ): Served<Claims> | undefined {
    const { staleIfErrorMs, timeoutMs, clock } = this.#options;
    const { lastAnswerAt, trust } = this.#loader.evidence;
    const mono = clock.monotonic();
    const result = staleResult(entry, age, failure, {
      staleIfErrorMs,
      maxAgeMs,
      answeredMs: mono - lastAnswerAt,
      failingMs: entry.failingMs(mono) - timeoutMs,
      controlsFail: trust.controlsFail,
    });
    if (result?.source === 'stale')
      this.#observers.tell((o) => o.onStale?.({ fingerprint: toHex(fingerprint), failure, result }));
    return result;
  }
}

/** The fingerprint of a key, as events name it and `invalidate()` takes it: SHA-256 as 64 hexadecimal digits. */
export function fingerprint(key: string): string {
  return toHex(sha256(key));
}
