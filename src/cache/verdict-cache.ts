import { LRUCache } from 'lru-cache';

import type { Instant } from '../core/clock.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';
import type { Verdict } from '../core/verdict.js';
import { Entry, type EntryFreshness } from './entry.js';
import { InvalidationLog, type AskedAt, type Invalidation } from './invalidation-log.js';

export interface VerdictCacheOptions {
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly maxEntries: number;
  readonly maxRejectedEntries: number;
  readonly refreshAheadRatio: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** In place of an invalidated verdict: the key must be asked about, and until then it may not be let in. */
const INVALIDATED = 'invalidated';

/** What is revoked, and where that stands in a stream. */
export interface CacheRevocation {
  readonly selector: StoredSelector | 'all';
  readonly stream?: Invalidation['stream'];
}

type Slot<Claims> = Entry<Claims> | typeof INVALIDATED;

/** TTLs are shortened by up to this ratio at random, so that verdicts learned together don't expire together. */
export const TTL_JITTER = 0.1;

/** The part of its TTL in which a verdict is moved to the front of the LRU once: with a million entries, moving one takes as long as finding it. */
const TOUCH_INTERVAL = 1 / 16;

/**
 * Verdicts that may have been revoked are asked about again within this time, in milliseconds; if so many would be more
 * than a few questions a second, within so much of the TTL, which doubles the usual load.
 */
const SUSPECT_WINDOW_MS = 30_000;
const SUSPECT_WINDOW_RATIO = 0.5;
const FEW_PER_SECOND = 10;

/** How many client and tenant names are shared between entries: each response brings its own copy. */
const INTERNED_NAMES = 1024;

/** Fingerprints to verdicts, in two bounded LRUs: made-up keys can't evict verified ones. */
export class VerdictCache<Claims> {
  readonly #options: VerdictCacheOptions;
  readonly #verified: LRUCache<string, Slot<Claims>>;
  readonly #rejected: LRUCache<string, Slot<Claims>>;
  readonly #names = new LRUCache<string, string>({ max: INTERNED_NAMES });
  /** What must not be served until it has been asked about anew. */
  readonly #revoked = new InvalidationLog();
  /** What is asked about anew, and may be served while there is no answer. */
  readonly #changed = new InvalidationLog();
  #position = 0;
  /** Keys of which nothing is known are invalidated, too. */
  #allInvalidated = false;
  /** When revocations may have been lost. */
  #gap: { readonly position: number; readonly mono: number; readonly windowMs: number } = {
    position: 0,
    mono: -Infinity,
    windowMs: 0,
  };
  #evictions = 0;

  constructor(options: VerdictCacheOptions) {
    this.#options = options;
    // As bounded LRUs only, without a TTL: lru-cache's clock stands still on isolates, so freshness is the entry's.
    this.#verified = new LRUCache({ max: options.maxEntries });
    this.#rejected = new LRUCache({ max: options.maxRejectedEntries });
  }

  /** Where the log of invalidations stands now: a question remembers it when it is asked. */
  get position(): number {
    return this.#position;
  }

  get sizes(): { readonly verified: number; readonly rejected: number } {
    return { verified: this.#verified.size, rejected: this.#rejected.size };
  }

  /** How many verdicts had to make room for others. */
  get evictions(): number {
    return this.#evictions;
  }

  get(fingerprint: string): Entry<Claims> | undefined {
    const slot = this.#verified.peek(fingerprint) ?? this.#rejected.peek(fingerprint);
    return slot === INVALIDATED ? undefined : slot;
  }

  /** Whether the key was good when it was last asked about. */
  isKnown(fingerprint: string): boolean {
    return this.#verified.has(fingerprint);
  }

  /** Whether the verdict on this key was invalidated, and none has come since. */
  isInvalidated(fingerprint: string): boolean {
    const slot = this.#verified.peek(fingerprint) ?? this.#rejected.peek(fingerprint);
    return slot === undefined ? this.#allInvalidated : slot === INVALIDATED;
  }

  /** Counts a use, at this age of the entry: the least recently used is evicted first. */
  touch(fingerprint: string, entry: Entry<Claims>, age: number): void {
    if (age - entry.touchedAtAge < entry.ttlMs * TOUCH_INTERVAL) return;
    entry.touchedAtAge = Math.floor(age);
    (entry.result.valid ? this.#verified : this.#rejected).get(fingerprint);
  }

  /**
   * Caches a verdict that was asked for then, unless something newer is known; it is fresh for `maxTtlMs` at the most.
   * Returns whether it is cached now.
   */
  set(fingerprint: string, verdict: Verdict<Claims>, asked: AskedAt, maxTtlMs = Infinity): boolean {
    const { result, freshness, askedAt } = verdict;
    // A limit on the key is a state that passes: it says nothing about whose key it is.
    if (!result.valid && result.reason === 'rate_limited') return false;
    const known = this.get(fingerprint);
    if (this.#revoked.invalidatedSince(asked, fingerprint, result)) {
      // What another process knew of the key has been revoked: until an answer comes, it may not be let in.
      if (typeof asked !== 'number' && known === undefined) this.#mark(fingerprint);
      return false;
    }
    if (known !== undefined && known.mono > askedAt.mono) return false;
    this.#delete(fingerprint);
    if (freshness.noStore && result.valid) return false;
    const entry = new Entry<Claims>(this.#toCached(result), askedAt, this.#freshness(verdict, maxTtlMs));
    if (this.#changed.invalidatedSince(asked, fingerprint, result)) entry.expireAt(0);
    const { position, mono } = this.#gap;
    if (typeof asked === 'number' ? asked < position : asked.mono <= mono)
      entry.suspectSince(mono - askedAt.mono, this.#gap.windowMs, shareOf(fingerprint));
    const lru = result.valid ? this.#verified : this.#rejected;
    if (lru.size === lru.max) this.#evictions++;
    lru.set(fingerprint, entry);
    return true;
  }

  /** Forgets what any of them selects, now and in the answers still on their way. Returns how many verdicts went. */
  invalidate(revocations: readonly CacheRevocation[], mono: number): number {
    const selects = this.#log(this.#revoked, revocations, mono);
    let count = 0;
    this.#select(selects, (fingerprint) => {
      this.#mark(fingerprint);
      count++;
    });
    for (const { selector } of revocations) {
      if (selector === 'all') this.#allInvalidated = true;
      if (selector === 'all' || !('fingerprint' in selector) || this.get(selector.fingerprint) !== undefined) continue;
      this.#mark(selector.fingerprint);
    }
    return count;
  }

  /** Ends the freshness of what any of them selects. Returns of how many verdicts. */
  expire(revocations: readonly CacheRevocation[], now: Instant): number {
    const selects = this.#log(this.#changed, revocations, now.mono);
    let count = 0;
    this.#select(selects, (_, entry) => {
      entry.expireAt(entry.age(now));
      count++;
    });
    return count;
  }

  /** Revocations may have been lost: every verdict is asked about again, spread over time, and is served until then. */
  suspect(now: Instant): void {
    const fewMs = (this.#verified.size / FEW_PER_SECOND) * 1000;
    const windowMs = Math.max(SUSPECT_WINDOW_MS, Math.min(fewMs, this.#options.cacheTtlMs * SUSPECT_WINDOW_RATIO));
    this.#gap = { position: ++this.#position, mono: now.mono, windowMs };
    this.#verified.forEach((slot, fingerprint) => {
      if (slot !== INVALIDATED) slot.suspectSince(slot.age(now), windowMs, shareOf(fingerprint));
    });
  }

  /** Forgets everything, as if nothing had been asked yet. Returns how many verdicts went. */
  clear(mono: number): number {
    const { verified, rejected } = this.sizes;
    this.#revoked.add('all', { position: ++this.#position, mono });
    this.#allInvalidated = false;
    this.#verified.clear();
    this.#rejected.clear();
    this.#names.clear();
    return verified + rejected;
  }

  /** Logs them, and returns what the new ones among them select. */
  #log(
    log: InvalidationLog,
    revocations: readonly CacheRevocation[],
    mono: number,
  ): InvalidationLog | ReadonlySet<string> {
    const fresh = new InvalidationLog();
    const fingerprints = new Set<string>();
    let isBroad = false;
    for (const { selector, stream } of revocations) {
      const invalidation = { position: ++this.#position, mono, stream };
      if (!log.add(selector, invalidation)) continue;
      fresh.add(selector, invalidation);
      if (selector !== 'all' && 'fingerprint' in selector) fingerprints.add(selector.fingerprint);
      else isBroad = true;
    }
    return isBroad ? fresh : fingerprints;
  }

  #select(
    selected: InvalidationLog | ReadonlySet<string>,
    run: (fingerprint: string, entry: Entry<Claims>) => void,
  ): void {
    const found: [string, Entry<Claims>][] = [];
    if (selected instanceof InvalidationLog) {
      for (const cache of [this.#verified, this.#rejected])
        cache.forEach((slot, fingerprint) => {
          if (slot !== INVALIDATED && selected.invalidatedSince(0, fingerprint, slot.result))
            found.push([fingerprint, slot]);
        });
    } else {
      for (const fingerprint of selected) {
        const entry = this.get(fingerprint);
        if (entry !== undefined) found.push([fingerprint, entry]);
      }
    }
    for (const [fingerprint, entry] of found) run(fingerprint, entry);
  }

  #mark(fingerprint: string): void {
    (this.isKnown(fingerprint) ? this.#verified : this.#rejected).set(fingerprint, INVALIDATED);
  }

  #freshness({ result, freshness, askedAt }: Verdict<Claims>, maxTtlMs: number): EntryFreshness {
    // A refusal outlives its TTL: it is never fresh again, but it still keeps a failure from letting the key in.
    const fullTtlMs = freshness.noStore ? 0 : Math.floor(Math.min(freshness.maxAgeMs, this.#ttl(result, askedAt)));
    const ttlMs = Math.min(fullTtlMs, maxTtlMs);
    const refreshAtAge = Math.ceil(ttlMs * this.#options.refreshAheadRatio);
    return { ttlMs, fullTtlMs, refreshAtAge, noStale: freshness.noStale };
  }

  #toCached(result: Verified<Claims> | Rejected): Verified<Claims> | Rejected {
    if (!result.valid) return rejected('cache', result.reason);
    const { keyId, claims, verifiedAt, expiresAt } = result;
    const [client, tenant] = [this.#intern(result.client), this.#intern(result.tenant)];
    return verified('cache', { client, tenant, keyId, claims, verifiedAt, expiresAt });
  }

  /** The same name, in the memory that it has already. */
  #intern(name: string): string {
    const known = this.#names.get(name);
    if (known === undefined) this.#names.set(name, name);
    return known ?? name;
  }

  #delete(fingerprint: string): void {
    if (!this.#verified.delete(fingerprint)) this.#rejected.delete(fingerprint);
  }

  #ttl(result: Verified<Claims> | Rejected, askedAt: Instant): number {
    const { cacheTtlMs, rejectedTtlMs, random } = this.#options;
    const jittered = (result.valid ? cacheTtlMs : rejectedTtlMs) * (1 - TTL_JITTER * random());
    const left = result.valid && result.expiresAt !== undefined ? result.expiresAt - askedAt.wall : Infinity;
    return Math.min(jittered, left);
  }
}

/** A number from 0 to 1 that is the same for this key in every process: they take turns, and one lease serves them all. */
function shareOf(fingerprint: string): number {
  return ((fingerprint.charCodeAt(0) << 8) | fingerprint.charCodeAt(1)) / 65_536;
}
