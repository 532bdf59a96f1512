import type { VerdictCache } from '../cache/verdict-cache.js';
import type { Clock, Instant } from '../core/clock.js';
import type { Rejected, Verified } from '../core/result.js';
import { whenReady } from '../core/when-ready.js';
import type { RevocationFollower } from '../fleet/follower.js';
import type { StoredVerdict, SharedVerdicts } from '../fleet/shared-verdicts.js';
import type { KnownPositions } from '../fleet/stream-place.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { readVerdict, type ReadVerdictOptions } from './read-verdict.js';

export interface SharedLookupOptions<Claims> extends ReadVerdictOptions<Claims> {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly sharedTimeoutMs: number;
  readonly cache: VerdictCache<Claims>;
  readonly shared: SharedVerdicts;
  readonly follower: Pick<RevocationFollower, 'isCaughtUp' | 'compare' | 'start'> | undefined;
  /** How long a verdict may be fresh now, in milliseconds. */
  readonly maxTtlMs: () => number;
}

/** The result of a shared-cache lookup. */
export interface SharedLook<Claims> {
  /** The time of the store, in epoch milliseconds. */
  readonly fence: number;
  /** Whether there was an entry. */
  readonly hasEntry: boolean;
  /** The verdict, if it was new to this process, is cached now, and is fresh. */
  readonly result: Verified<Claims> | Rejected | undefined;
}

/** Whose verdict is looked for, since when, and how old it may be, in milliseconds. */
export interface LookedFor {
  readonly fingerprint: string;
  readonly key: string;
  readonly startedAt: number;
  readonly maxAgeMs: number;
  readonly isLikely: boolean;
}

type Adopted<Claims> = SharedLook<Claims>['result'];

const ESTIMATE = { mayEstimate: true };

/** The store tells whole milliseconds, rounded down: an entry may be older by almost one. */
const ROUNDING_MS = 1;

/** Without streams, there is nothing to compare. */
const ALONE: KnownPositions = { positions: {}, isCurrent: true };

/** Looks for verdicts of other processes, and caches them. */
export class SharedLookup<Claims> {
  readonly #options: SharedLookupOptions<Claims>;

  constructor(options: SharedLookupOptions<Claims>) {
    this.#options = options;
  }

  /** `undefined` if the store can't say. */
  async look(about: LookedFor): Promise<SharedLook<Claims> | undefined> {
    const { clock, timeoutMs, sharedTimeoutMs, shared, follower, maxTtlMs } = this.#options;
    const { fingerprint, key, startedAt, isLikely } = about;
    const begunAt = clock.monotonic();
    const leftMs = startedAt + timeoutMs - begunAt;
    // What was revoked meanwhile isn't known yet: then a question follows.
    const options = isLikely && follower?.isCaughtUp !== false ? ESTIMATE : undefined;
    const reading = shared.read(fingerprint, [key], leftMs, options);
    // What is retained takes a moment to be read, at the very start.
    if (follower?.isCaughtUp === false && maxTtlMs() === Infinity)
      await new Deadline(clock, Math.min(sharedTimeoutMs, timeoutMs), startedAt).race(follower.start());
    const found = await reading;
    if (found === undefined) return undefined;
    const looked = this.#toLook(about, found);
    const look = looked instanceof Promise ? await this.#inTime(looked, startedAt) : looked;
    if (look?.result !== undefined || !found.isEstimate) return look;
    // A question follows, whose answer needs a fence. Both reads share the budget.
    const exactMs = begunAt + Math.min(sharedTimeoutMs, leftMs) - clock.monotonic();
    const exact = await shared.read(fingerprint, [key], exactMs);
    return exact && (await this.#inTime(Promise.resolve(this.#toLook(about, exact)), startedAt));
  }

  /** A schema of the caller's may take for ever. */
  async #inTime<T>(work: Promise<T>, startedAt: number): Promise<T | undefined> {
    const { clock, timeoutMs } = this.#options;
    const done = await new Deadline(clock, timeoutMs, startedAt).race(work);
    return done === TIMED_OUT ? undefined : done;
  }

  #toLook(about: LookedFor, found: StoredVerdict): SharedLook<Claims> | Promise<SharedLook<Claims>> {
    const { fingerprint, maxAgeMs } = about;
    return whenReady(this.#adopt(about, found), (result) => {
      const entry = result && this.#options.cache.get(fingerprint);
      const isFresh = entry?.isFresh(entry.age(this.#now()), maxAgeMs) === true;
      return { fence: found.now, hasEntry: found.verdict !== undefined, result: isFresh ? result : undefined };
    });
  }

  #adopt(
    { fingerprint, key }: LookedFor,
    { verdict: shared, readAt, ageMs }: StoredVerdict,
  ): Adopted<Claims> | Promise<Adopted<Claims>> {
    if (shared === undefined) return undefined;
    const { cache, follower, maxTtlMs } = this.#options;
    const { decoded, askedAt: wall, positions } = shared;
    const now = this.#now();
    // The reply may have come late: a verdict that seemed younger than it is could outlive what was revoked meanwhile.
    const mono = Math.min(readAt - Math.max(0, ageMs), now.mono - (now.wall - wall));
    return whenReady(readVerdict(decoded, { wall, mono }, this.#options, key, 'shared'), (verdict) => {
      const entry = cache.get(fingerprint);
      if ('kind' in verdict || entry?.isFrom(wall) === true) return undefined;
      const askedBy = mono - ROUNDING_MS;
      const known = follower?.compare(positions, askedBy) ?? ALONE;
      // Before it is known what was revoked meanwhile, and if that can't be known, it is good for an outage alone.
      const isInDoubt = !known.isCurrent || follower?.isCaughtUp === false;
      if (isInDoubt && entry?.isFresh(entry.age(now), Infinity) === true) return undefined;
      const asked = { mono: askedBy, positions: known.positions };
      const isCached = cache.set(fingerprint, verdict, asked, isInDoubt ? 0 : maxTtlMs());
      return isCached ? verdict.result : undefined;
    });
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { wall: clock.wall(), mono: clock.monotonic() };
  }
}
