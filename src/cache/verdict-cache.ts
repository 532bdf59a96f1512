import { LRUCache } from 'lru-cache';

import type { Instant } from '../core/clock.js';
import { rejected, verified, type Rejected, type Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';
import type { Verdict } from '../core/verdict.js';
import { Entry, type EntryFreshness } from './entry.js';
import { Gaps } from './gaps.js';
import { InvalidationLog, type AskedAt, type Invalidation } from './invalidation-log.js';
import { Marks } from './marks.js';

export interface VerdictCacheOptions {
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly maxEntries: number;
  readonly maxRejectedEntries: number;
  readonly refreshAheadRatio: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** What is revoked, and where that stands in a stream. */
export interface CacheRevocation {
  readonly selector: StoredSelector | 'all';
  readonly stream?: Invalidation['stream'];
}

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

/**
 * How many verdicts an invalidation by more than a fingerprint looks at. The others are compared with the log when they are
 * looked up: to look at a million of them would block the event loop for half a second.
 */
const SWEEP = 512;

/** And how many for each of them, where many come at once: so all of 60 000 are looked at before the log drops anything. */
const SWEEP_EACH = 4;

/** Fingerprints to verdicts, in two bounded LRUs: made-up keys can't evict verified ones. */
export class VerdictCache<Claims> {
  readonly #options: VerdictCacheOptions;
  readonly #verified: LRUCache<string, Entry<Claims>>;
  readonly #rejected: LRUCache<string, Entry<Claims>>;
  /** Keys that were good when they were last asked about, but whose verdicts must not be stored. */
  readonly #unstored = new Set<string>();
  readonly #names = new LRUCache<string, string>({ max: INTERNED_NAMES });
  /** What must not be served until it has been asked about anew. */
  readonly #revoked = new InvalidationLog();
  /** What is asked about anew, and may be served while there is no answer. */
  readonly #changed = new InvalidationLog();
  /** The invalidated keys of which nothing else is known. */
  readonly #marks = new Marks();
  /** When revocations may have been lost. */
  readonly #gaps = new Gaps();
  #position = 0;
  /** The position of the latest invalidation by more than a fingerprint: entries that stand before it are out of date. */
  #outdatedBefore = 0;
  /** The fingerprints that are still to be looked at. */
  #sweeping: Iterator<string, unknown> | undefined;
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
    const entry = this.#entry(fingerprint);
    return entry === undefined || entry.position >= this.#outdatedBefore ? entry : this.#upToDate(fingerprint, entry);
  }

  /** Whether the key was good when it was last asked about. */
  isKnown(fingerprint: string): boolean {
    return this.#verified.has(fingerprint) || this.#unstored.has(fingerprint);
  }

  /** Whether the verdict on this key was invalidated, and none has come since. */
  isInvalidated(fingerprint: string): boolean {
    const entry = this.#entry(fingerprint);
    return entry === undefined ? this.#marks.has(fingerprint) : this.#upToDate(fingerprint, entry) === undefined;
  }

  /** Whether a verdict that was asked for then has been invalidated since. */
  invalidatedSince(asked: AskedAt, fingerprint: string, { result }: Verdict<Claims>): boolean {
    return this.#revoked.invalidatedSince(asked, fingerprint, result);
  }

  /** Counts a use, at this age of the entry: the least recently used is evicted first. */
  touch(fingerprint: string, entry: Entry<Claims>, age: number): void {
    if (age - entry.touchedAtAge < entry.ttlMs * TOUCH_INTERVAL) return;
    entry.touchedAtAge = Math.floor(age);
    (entry.isVerified ? this.#verified : this.#rejected).get(fingerprint);
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
      // What was known of the key has been revoked: until an answer comes, it may not be let in.
      if (known === undefined) this.#mark(fingerprint);
      return false;
    }
    if (known !== undefined && known.mono > askedAt.mono) return false;
    this.#delete(fingerprint);
    if (freshness.noStore && result.valid) {
      if (this.#unstored.size >= this.#options.maxEntries) this.#unstored.clear();
      this.#unstored.add(fingerprint);
      return false;
    }
    const entry = new Entry(this.#toCached(result), askedAt, this.#freshness(verdict, maxTtlMs), this.#position);
    if (this.#changed.invalidatedSince(asked, fingerprint, result)) entry.expireAt(0);
    const gap = this.#gaps.firstSince(asked);
    if (gap !== undefined) entry.suspectSince(gap.mono - askedAt.mono, gap.windowMs, shareOf(fingerprint));
    const lru = result.valid ? this.#verified : this.#rejected;
    if (lru.size === lru.max) this.#evictions++;
    lru.set(fingerprint, entry);
    return true;
  }

  /**
   * Forgets what any of them selects, now and in the answers still in flight. Returns how many verdicts went at once: in a
   * cache of more than 512, the others go when they are looked up.
   */
  invalidate(revocations: readonly CacheRevocation[], mono: number): number {
    const fingerprints = this.#log(this.#revoked, revocations, mono);
    const known = fingerprints.filter((fingerprint) => this.get(fingerprint) !== undefined);
    for (const fingerprint of known) this.#mark(fingerprint);
    const count = known.length + this.#sweep(revocations.length).forgotten;
    for (const { selector } of revocations) {
      if (selector === 'all') this.#marks.addAll();
      else if ('fingerprint' in selector && this.get(selector.fingerprint) === undefined)
        this.#mark(selector.fingerprint);
    }
    return count;
  }

  /** Ends the freshness of what any of them selects. Returns of how many verdicts, in the same way. */
  expire(revocations: readonly CacheRevocation[], mono: number): number {
    const known = this.#log(this.#changed, revocations, mono).flatMap((fingerprint) => this.get(fingerprint) ?? []);
    for (const entry of known) entry.expireAt(0);
    return known.length + this.#sweep(revocations.length).expired;
  }

  /** Revocations may have been lost: every verdict is asked about again, spread over time, and is served until then. */
  suspect(now: Instant): void {
    const fewMs = (this.#verified.size / FEW_PER_SECOND) * 1000;
    const windowMs = Math.max(SUSPECT_WINDOW_MS, Math.min(fewMs, this.#options.cacheTtlMs * SUSPECT_WINDOW_RATIO));
    this.#outdatedBefore = ++this.#position;
    this.#gaps.add({ position: this.#position, ...now, windowMs });
  }

  /** Forgets every verdict, but not which keys may not be let in. Returns how many verdicts went. */
  clear(now: Instant): number {
    const { verified, rejected } = this.sizes;
    for (const fingerprint of this.#fingerprints()) {
      const entry = this.get(fingerprint);
      if (entry?.result.valid !== true || entry.hasEnded(entry.age(now))) this.#marks.add(fingerprint);
    }
    this.#revoked.add('all', { position: ++this.#position, mono: now.mono });
    this.#verified.clear();
    this.#rejected.clear();
    this.#sweeping = undefined;
    this.#names.clear();
    return verified + rejected;
  }

  #entry(fingerprint: string): Entry<Claims> | undefined {
    return this.#verified.peek(fingerprint) ?? this.#rejected.peek(fingerprint);
  }

  /** Logs them, and returns the fingerprints among the new ones. */
  #log(log: InvalidationLog, revocations: readonly CacheRevocation[], mono: number): readonly string[] {
    const fingerprints = new Set<string>();
    for (const { selector, stream } of revocations) {
      const position = ++this.#position;
      if (!log.add(selector, { position, mono, stream })) continue;
      if (selector !== 'all' && 'fingerprint' in selector) fingerprints.add(selector.fingerprint);
      else this.#outdatedBefore = position;
    }
    return [...fingerprints];
  }

  /**
   * Looks at the next entries, in a circle. Without it nothing would be wrong; but what the log drops would end even verdicts
   * that were never selected, if they were not looked up meanwhile.
   */
  #sweep(revocations: number): { readonly forgotten: number; readonly expired: number } {
    const counts = { forgotten: 0, expired: 0 };
    this.#sweeping ??= this.#fingerprints();
    for (let left = Math.max(SWEEP, SWEEP_EACH * revocations); left > 0; left--) {
      const next = this.#sweeping.next();
      if (next.done === true) {
        this.#sweeping = undefined;
        break;
      }
      const fingerprint = next.value;
      const entry = this.#entry(fingerprint);
      if (entry === undefined || entry.isForgotten) continue;
      const { ttlMs } = entry;
      if (this.#upToDate(fingerprint, entry) === undefined) counts.forgotten++;
      else if (entry.ttlMs === 0 && ttlMs > 0) counts.expired++;
    }
    return counts;
  }

  /** One that is used or deleted meanwhile may come again, or end the round: the next one begins anew. */
  *#fingerprints(): Generator<string, void> {
    yield* this.#verified.rkeys();
    yield* this.#rejected.rkeys();
  }

  /** Applies to an entry what was invalidated since that was last done; `undefined` if the entry is forgotten. */
  #upToDate(fingerprint: string, entry: Entry<Claims>): Entry<Claims> | undefined {
    if (entry.isForgotten) return undefined;
    const { position, result } = entry;
    if (this.#revoked.invalidatedSince(position, fingerprint, result)) {
      entry.forget();
      return undefined;
    }
    if (this.#changed.invalidatedSince(position, fingerprint, result)) entry.expireAt(0);
    const gap = this.#gaps.firstSince(position);
    if (gap !== undefined && result.valid) entry.suspectSince(entry.age(gap), gap.windowMs, shareOf(fingerprint));
    entry.position = this.#position;
    return entry;
  }

  /** In place of a verdict or of nothing: the key must be asked about, and until then it may not be let in. */
  #mark(fingerprint: string): void {
    const entry = this.#entry(fingerprint);
    if (entry === undefined) {
      this.#marks.add(fingerprint);
      return;
    }
    entry.forget();
    (this.isKnown(fingerprint) ? this.#verified : this.#rejected).set(fingerprint, entry);
  }

  #freshness({ result, freshness, askedAt }: Verdict<Claims>, maxTtlMs: number): EntryFreshness {
    // A rejection outlives its TTL: it is never fresh again, but it still keeps a failure from letting the key in.
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
    this.#marks.delete(fingerprint);
    this.#unstored.delete(fingerprint);
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
export function shareOf(fingerprint: string): number {
  return ((fingerprint.charCodeAt(0) << 8) | fingerprint.charCodeAt(1)) / 65_536;
}
