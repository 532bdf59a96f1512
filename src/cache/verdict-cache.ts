import { LRUCache } from 'lru-cache';

import type { Instant } from '../core/clock.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';
import type { Verdict } from '../core/verdict.js';
import { Entry } from './entry.js';
import { InvalidationLog, selects } from './invalidation-log.js';

export interface VerdictCacheOptions {
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly maxEntries: number;
  readonly maxRejectedEntries: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** In place of an invalidated verdict: the key must be asked about, and until then it may not be let in. */
const INVALIDATED = 'invalidated';

type Slot<Claims> = Entry<Claims> | typeof INVALIDATED;

/** TTLs are shortened by up to this ratio at random, so that verdicts learned together don't expire together. */
const TTL_JITTER = 0.1;

/** The part of its TTL in which a verdict is moved to the front of the LRU once: with a million entries, moving one takes as long as finding it. */
const TOUCH_INTERVAL = 1 / 16;

/** How many client and tenant names are shared between entries: each response brings its own copy. */
const INTERNED_NAMES = 1024;

/** Fingerprints to verdicts, in two bounded LRUs: made-up keys can't evict verified ones. */
export class VerdictCache<Claims> {
  readonly #options: VerdictCacheOptions;
  readonly #verified: LRUCache<string, Slot<Claims>>;
  readonly #rejected: LRUCache<string, Slot<Claims>>;
  readonly #names = new LRUCache<string, string>({ max: INTERNED_NAMES });
  readonly #invalidations = new InvalidationLog();

  constructor(options: VerdictCacheOptions) {
    this.#options = options;
    // As bounded LRUs only, without a TTL: lru-cache's clock stands still on isolates, so freshness is the entry's.
    this.#verified = new LRUCache({ max: options.maxEntries });
    this.#rejected = new LRUCache({ max: options.maxRejectedEntries });
  }

  /** Where the invalidation log stands now: a question remembers it when it is asked. */
  get position(): number {
    return this.#invalidations.position;
  }

  get sizes(): { readonly verified: number; readonly rejected: number } {
    return { verified: this.#verified.size, rejected: this.#rejected.size };
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
    return (this.#verified.peek(fingerprint) ?? this.#rejected.peek(fingerprint)) === INVALIDATED;
  }

  /** Counts a use, at this age of the entry: the least recently used is evicted first. */
  touch(fingerprint: string, entry: Entry<Claims>, age: number): void {
    if (age - entry.touchedAtAge < entry.ttlMs * TOUCH_INTERVAL) return;
    entry.touchedAtAge = Math.floor(age);
    (entry.result.valid ? this.#verified : this.#rejected).get(fingerprint);
  }

  /** Caches a verdict that was asked for at this position of the log, unless something newer is known. */
  set(fingerprint: string, { result, freshness, askedAt }: Verdict<Claims>, position: number): void {
    // A limit on the key is a state that passes: it says nothing about whose key it is.
    if (!result.valid && result.reason === 'rate_limited') return;
    if (this.#invalidations.invalidatedSince(position, fingerprint, result)) return;
    const known = this.get(fingerprint);
    if (known !== undefined && known.mono > askedAt.mono) return;
    this.#delete(fingerprint);
    if (freshness.noStore && result.valid) return;
    // A refusal outlives its TTL: it is never fresh again, but it still keeps a failure from letting the key in.
    const ttlMs = freshness.noStore ? 0 : Math.floor(Math.min(freshness.maxAgeMs, this.#ttl(result, askedAt)));
    const entry = new Entry<Claims>(this.#toCached(result), askedAt, ttlMs, freshness.noStale);
    (result.valid ? this.#verified : this.#rejected).set(fingerprint, entry);
  }

  /** Forgets what the selector selects, now and in the answers still on their way. Returns how many verdicts went. */
  invalidate(selector: StoredSelector): number {
    this.#invalidations.add(selector);
    if ('fingerprint' in selector) {
      const { fingerprint } = selector;
      const known = this.get(fingerprint) !== undefined;
      (this.isKnown(fingerprint) ? this.#verified : this.#rejected).set(fingerprint, INVALIDATED);
      return Number(known);
    }
    const selected: string[] = [];
    this.#verified.forEach((slot, fingerprint) => {
      if (slot !== INVALIDATED && selects(selector, fingerprint, slot.result)) selected.push(fingerprint);
    });
    for (const fingerprint of selected) this.#verified.set(fingerprint, INVALIDATED);
    return selected.length;
  }

  /** Forgets everything, as if nothing had been asked yet. Returns how many verdicts went. */
  clear(): number {
    const { verified, rejected } = this.sizes;
    this.#invalidations.addAll();
    this.#verified.clear();
    this.#rejected.clear();
    this.#names.clear();
    return verified + rejected;
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
