import { sha256 } from '#platform';

import { isAdmissible, isHashable, localRejection } from './core/admit.js';
import { VerdictLoader } from './client/loader.js';
import { cachedClock, type Instant } from './core/clock.js';
import type { Entry } from './cache/entry.js';
import type { Selector } from './cache/invalidation-log.js';
import { VerdictCache } from './cache/verdict-cache.js';
import { notify } from './core/events.js';
import { VerifyFailure } from './core/failure.js';
import { toHex } from './core/fingerprint.js';
import type { KeyVerifierOptions } from './options/options.js';
import { decide } from './policy.js';
import type { DefaultClaims, Rejected, Verified, VerifyResult } from './core/result.js';
import { parseSelector } from './cache/selector.js';
import { resolveOptions, type ResolvedOptions } from './options/resolve.js';
import { ResultCounter, type Stats } from './observe/stats.js';
import type { Verifier, VerifyOptions } from './options/verify-options.js';

const PLAIN: VerifyOptions = Object.freeze({});

/**
 * Asks, for every request of a service: may this API key in, and who is it? Build one for each service and scope, at
 * start, and share it: the cache is its own.
 */
export class KeyVerifier<FailOpen extends boolean = false, Claims = DefaultClaims> implements Verifier<
  FailOpen,
  Claims
> {
  readonly #options: ResolvedOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #loader: VerdictLoader<Claims>;
  readonly #now: () => Instant;
  readonly #counter = new ResultCounter();

  /** Throws `InvalidOptionsError`, which names every mistake at once. */
  constructor(options: KeyVerifierOptions<FailOpen, Claims> = {}) {
    this.#options = resolveOptions(options);
    this.#cache = new VerdictCache(this.#options);
    this.#now = cachedClock(this.#options.clock);
    this.#loader = new VerdictLoader(this.#options, this.#cache);
  }

  /**
   * Finds out about one key. Never rejects for what the network or the key server does: that is a result, too. Rejects
   * only with the reason of the caller's own `signal`.
   */
  verify(
    key: string | null | undefined,
    options?: VerifyOptions & { readonly failOpen?: undefined },
  ): Promise<VerifyResult<Claims, FailOpen>>;
  /** Fails closed, this time. */
  verify(
    key: string | null | undefined,
    options: VerifyOptions & { readonly failOpen: false },
  ): Promise<VerifyResult<Claims>>;
  /** May fail open, this time. */
  verify(key: string | null | undefined, options?: VerifyOptions): Promise<VerifyResult<Claims, boolean>>;
  verify(key: string | null | undefined, call: VerifyOptions = PLAIN): Promise<VerifyResult<Claims, boolean>> {
    const { signal } = call;
    // What an executor throws is what its promise rejects with.
    if (signal?.aborted === true) return new Promise(() => signal.throwIfAborted());
    if (!isHashable(key)) return Promise.resolve(this.#counter.count(localRejection(key)));
    const fingerprint = sha256(key);
    const entry = this.#cache.get(fingerprint);
    const known = entry && this.#serve(fingerprint, key, entry, call);
    // Only those who have to wait pay for an async function. Nor is one promise kept for all hits: under
    // AsyncLocalStorage a promise holds on to the request that made it.
    return known === undefined ? this.#ask(fingerprint, key, entry, call) : Promise.resolve(known);
  }

  /**
   * What `verify()` would say without a wait; `undefined` where it would have to ask. Counts, and refreshes ahead, as
   * `verify()` does: `verifier.verifyCached(key) ?? (await verifier.verify(key))` spares a cached verdict its promise.
   */
  verifyCached(key: string | null | undefined, call: VerifyOptions = PLAIN): Verified<Claims> | Rejected | undefined {
    if (!isHashable(key)) return this.#counter.count(localRejection(key));
    const fingerprint = sha256(key);
    const entry = this.#cache.get(fingerprint);
    return entry && this.#serve(fingerprint, key, entry, call);
  }

  /** What is remembered of a key and fresh, without a question; `undefined` if nothing is. Refreshes nothing. */
  peek(key: string | null | undefined): Verified<Claims> | Rejected | undefined {
    if (!isHashable(key)) return localRejection(key);
    const entry = this.#cache.get(sha256(key));
    if (entry === undefined) return isAdmissible(key, this.#options.keyFormat) ? undefined : localRejection(key);
    return entry.age(this.#now()) < entry.ttlMs ? entry.result : undefined;
  }

  /**
   * Forgets verdicts, and those that are on their way too: the next `verify()` asks. Returns how many were forgotten.
   * By anything but the key it looks at every verdict that is remembered.
   */
  invalidate(selector: Selector): number {
    const kept = parseSelector(selector);
    this.#loader.detach('fingerprint' in kept ? kept.fingerprint : undefined);
    return this.#cache.invalidate(kept);
  }

  /** Forgets every verdict. */
  clear(): void {
    this.#loader.detach();
    this.#cache.clear();
  }

  /** Loads what the first question would have to wait for, a service token included. Rejects if there is no token to be had. */
  async warmUp(): Promise<void> {
    await this.#loader.warmUp();
  }

  /** What happened so far, in numbers. */
  stats(): Stats {
    return this.#counter.snapshot({ entries: this.#cache.sizes, ...this.#loader.counts });
  }

  /**
   * Waits for the questions in the air and closes the connections. What is remembered is served on; whatever else is
   * asked from then on fails as `misconfigured`. May be called again.
   */
  async close(): Promise<void> {
    await this.#loader.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask(
    fingerprint: string,
    key: string,
    entry: Entry<Claims> | undefined,
    call: VerifyOptions,
  ): Promise<VerifyResult<Claims, boolean>> {
    if (entry === undefined && !isAdmissible(key, this.#options.keyFormat))
      return this.#counter.count(localRejection(key));
    const answer = await this.#loader.load(fingerprint, key, entry?.result.valid === true, call);
    if (!(answer instanceof VerifyFailure)) return this.#counter.count(answer);
    return this.#counter.count(this.#decide(fingerprint, answer, call));
  }

  /** The hot path: what is remembered and may be said without waiting. Counts it. */
  #serve(fingerprint: string, key: string, entry: Entry<Claims>, call: VerifyOptions): Known<Claims> {
    const now = this.#now();
    const age = entry.age(now);
    this.#cache.touch(fingerprint, entry, age);
    if (age < entry.ttlMs && age < (call.maxAgeMs ?? Infinity)) {
      if (age >= entry.ttlMs * this.#options.refreshAheadRatio && age >= entry.refreshAtAge && entry.result.valid) {
        const silent = this.#blockedBy(entry, now.mono) !== undefined;
        // Where the refresh succeeds, another entry takes the place of this one.
        if (silent || this.#loader.refresh(fingerprint, key, call)) entry.deferRefresh(age, this.#options.random);
      }
      return this.#counter.hit(entry.result);
    }
    const failure = this.#blockedBy(entry, now.mono);
    const stale = failure && this.#stale(fingerprint, entry, age, failure, call);
    return stale && this.#counter.count(stale);
  }

  /** Why there is no use in asking about this key right now, if there is none. */
  #blockedBy(entry: Entry<Claims>, mono: number): VerifyFailure | undefined {
    return entry.backoffFailure(mono) ?? this.#loader.blockedBy(mono);
  }

  #decide(fingerprint: string, failure: VerifyFailure, call: VerifyOptions): VerifyResult<Claims, boolean> {
    const { failOpen, onFailOpen } = this.#options;
    // Read anew: someone else may have learned of the key meanwhile, or made us forget it.
    const entry = this.#cache.get(fingerprint);
    const age = entry?.age(this.#now()) ?? Infinity;
    const stale = entry && this.#stale(fingerprint, entry, age, failure, call);
    const result = decide(stale, failure, call.failOpen ?? failOpen);
    if (result.source === 'fail-open') notify(onFailOpen, { fingerprint: toHex(fingerprint), failure, result });
    return result;
  }

  #stale(
    fingerprint: string,
    entry: Entry<Claims>,
    age: number,
    failure: VerifyFailure,
    { maxAgeMs = Infinity }: VerifyOptions,
  ): Known<Claims> {
    if (age < entry.ttlMs && age < maxAgeMs) return entry.result;
    const result = entry.stale(age, this.#options.staleIfErrorMs, maxAgeMs);
    const { onStale } = this.#options;
    if (result !== undefined && onStale !== undefined)
      notify(onStale, { fingerprint: toHex(fingerprint), failure, result });
    return result;
  }
}

type Known<Claims> = Verified<Claims> | Rejected | undefined;
