import { LRUCache } from '#platform';

import { rejected, verified, type Rejected, type Verified } from '../core/result.js';
import type { Instant } from '../core/clock.js';
import { Entry } from './entry.js';
import { InvalidationLog, selects, type StoredSelector } from './invalidation-log.js';

/** What the key server said about a key. */
export interface Verdict<Claims> {
  readonly result: Verified<Claims> | Rejected;
  /** How long the server lets it be kept, in milliseconds; `Infinity` where it says nothing. */
  readonly maxAgeMs: number | 'no-store';
}

export interface VerdictCacheOptions {
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly maxEntries: number;
  readonly maxRejectedEntries: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** TTLs are shortened by up to this share, at random: verdicts that were learned together don't end together. */
const TTL_JITTER = 0.1;

/** The share of its TTL in which a verdict in use is moved to the latest once: among a million, to move one takes as long as to find it. */
const TOUCH_INTERVAL = 1 / 16;

/** Of so many clients and tenants, the latest, all keys share the name: each response brings its own copy. */
const INTERNED_NAMES = 1024;

/** Fingerprints to verdicts, each in one of two bounded LRUs: made-up keys can't push out real ones. */
export class VerdictCache<Claims> {
  readonly #settings: VerdictCacheOptions;
  readonly #verified: LRUCache<string, Entry<Claims>>;
  readonly #rejected: LRUCache<string, Entry<Claims>>;
  readonly #names = new LRUCache<string, string>({ max: INTERNED_NAMES });
  readonly #invalidations = new InvalidationLog();

  constructor(settings: VerdictCacheOptions) {
    this.#settings = settings;
    // Bounded LRUs and no more: freshness is the entry's, see the traps of a cache with a TTL on frozen clocks.
    this.#verified = new LRUCache({ max: settings.maxEntries });
    this.#rejected = new LRUCache({ max: settings.maxRejectedEntries });
  }

  get position(): number {
    return this.#invalidations.position;
  }

  get sizes(): { readonly verified: number; readonly rejected: number } {
    return { verified: this.#verified.size, rejected: this.#rejected.size };
  }

  get(fingerprint: string): Entry<Claims> | undefined {
    return this.#verified.peek(fingerprint) ?? this.#rejected.peek(fingerprint);
  }

  /** Counts a use, `age` milliseconds after the verdict: what goes unused for longest makes room first. */
  touch(fingerprint: string, entry: Entry<Claims>, age: number): void {
    if (age - entry.touchedAtAge < entry.ttlMs * TOUCH_INTERVAL) return;
    entry.touchedAtAge = Math.floor(age);
    (entry.result.valid ? this.#verified : this.#rejected).get(fingerprint);
  }

  /** Keeps a verdict that was asked for at `askedAt`, in generation `since`, unless something newer is known. */
  set(fingerprint: string, verdict: Verdict<Claims>, askedAt: Instant, since: number): void {
    if (this.#invalidations.invalidatedSince(since, fingerprint, verdict.result)) return;
    const known = this.get(fingerprint);
    if (known !== undefined) {
      if (known.mono > askedAt.mono) return;
      this.#delete(fingerprint);
    }
    const { result, maxAgeMs } = verdict;
    if (maxAgeMs === 'no-store') return;
    const entry = new Entry<Claims>(
      this.#toCached(result),
      askedAt,
      Math.floor(Math.min(maxAgeMs, this.#ttl(result, askedAt))),
    );
    (result.valid ? this.#verified : this.#rejected).set(fingerprint, entry);
  }

  /** Forgets what the selector selects, now and in the answers still on their way. Returns how many verdicts went. */
  invalidate(selector: StoredSelector): number {
    this.#invalidations.invalidate(selector);
    if ('fingerprint' in selector) return Number(this.#delete(selector.fingerprint));
    const selected: string[] = [];
    this.#verified.forEach(({ result }, fingerprint) => {
      if (selects(selector, fingerprint, result)) selected.push(fingerprint);
    });
    for (const fingerprint of selected) this.#delete(fingerprint);
    return selected.length;
  }

  clear(): void {
    this.#invalidations.clear();
    this.#verified.clear();
    this.#rejected.clear();
    this.#names.clear();
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

  #delete(fingerprint: string): boolean {
    return this.#verified.delete(fingerprint) || this.#rejected.delete(fingerprint);
  }

  #ttl(result: Verdict<Claims>['result'], askedAt: Instant): number {
    const { cacheTtlMs, rejectedTtlMs, random } = this.#settings;
    const jittered = (result.valid ? cacheTtlMs : rejectedTtlMs) * (1 - TTL_JITTER * random());
    const left = result.valid && result.expiresAt !== undefined ? result.expiresAt - askedAt.wall : Infinity;
    return Math.min(jittered, left);
  }
}
