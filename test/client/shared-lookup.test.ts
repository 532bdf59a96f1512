import { describe, expect, test } from 'vitest';

import type { DefaultClaims, SharedCache, SharedRead } from 'keyverify';
import { fleet } from 'keyverify/fleet';
import { testClock } from 'keyverify/testing';

import { VerdictCache } from '../../src/cache/verdict-cache.js';
import { SharedLookup, type LookedFor, type SharedLookupOptions } from '../../src/client/shared-lookup.js';
import { toRecord } from '../../src/fleet/record.js';
import { SharedVerdicts } from '../../src/fleet/shared-verdicts.js';
import { sha256 } from '../../src/platform/server.js';
import { claimsAsSent } from '../../src/protocol/claims.js';
import { KEY } from '../helpers/loader.js';
import { verdict, verified } from '../helpers/verdicts.js';

const FINGERPRINT = sha256(KEY);
const TTL = 300_000;
const BUDGET = 50;
const never = async (): Promise<never> => await new Promise(() => undefined);

type Follower = NonNullable<SharedLookupOptions<DefaultClaims>['follower']>;

/** A stream that has been read so far, and is never read to its end. */
const stream = (isCaughtUp: boolean, isCurrent = true): Follower => ({
  isCaughtUp,
  compare: () => ({ positions: {}, isCurrent }),
  start: never,
});

/** A look into a store whose replies the test gives, one by one. */
function rig(setup: Partial<SharedLookupOptions<DefaultClaims>> = {}) {
  const clock = testClock();
  const base = {
    clock,
    random: () => 0,
    timeoutMs: 2_000,
    sharedTimeoutMs: BUDGET,
    readClaims: claimsAsSent,
    cacheTtlMs: TTL,
    rejectedTtlMs: TTL,
    maxEntries: 10,
    maxRejectedEntries: 10,
    refreshAheadRatio: 0.9,
  };
  const cache = new VerdictCache<DefaultClaims>(base);
  const replies: (() => Promise<SharedRead>)[] = [];
  /** Of each read, whether the time may be estimated. */
  const reads: boolean[] = [];
  const store: SharedCache = {
    fleet,
    get: async (_, { mayEstimate = false } = {}) => {
      reads.push(mayEstimate);
      return await (replies.shift() ?? never)();
    },
    put: never,
    lease: never,
  };
  const shared = new SharedVerdicts(store, {
    ...base,
    namespace: 'n',
    around: async (_, run) => await run(),
    onOutcome: () => undefined,
  });
  const options = { ...base, cache, shared, follower: undefined, maxTtlMs: () => Infinity, ...setup };
  const lookup = new SharedLookup<DefaultClaims>(options);
  const now = () => ({ wall: clock.wall(), mono: clock.monotonic() });
  /** What the store says of a verdict that was asked for so long ago, by the clock of the process that asked and by its own. */
  const found = (agoMs: number, { fenceAgoMs = agoMs, claims = {}, isEstimate = false } = {}): SharedRead => {
    const wall = clock.wall() - agoMs;
    const value = toRecord({ ...verdict(verified()), askedAt: { wall, mono: 0 }, rawClaims: claims }, {}) ?? '';
    return { now: clock.wall(), isEstimate, entry: { value, fence: clock.wall() - fenceAgoMs } };
  };
  const reply = (read: SharedRead, afterMs = 0): void => {
    replies.push(async () => {
      if (afterMs > 0) await new Promise<void>((resolve) => void clock.after(afterMs, resolve));
      return read;
    });
  };
  const look = (about: Partial<LookedFor> = {}) =>
    lookup.look({
      fingerprint: FINGERPRINT,
      key: KEY,
      startedAt: clock.monotonic(),
      maxAgeMs: Infinity,
      isLikely: true,
      ...about,
    });
  const settled = async (about?: Partial<LookedFor>) => await clock.settle(look(about), 3_000);
  return { clock, cache, reads, found, reply, look, settled, now };
}

describe('a lookup in the shared cache', () => {
  test.each([
    ['no streams are followed', true, undefined, true],
    ['all of the streams has been read', true, stream(true), true],
    ['some of them is yet to be read, so that a question follows', true, stream(false), false],
    ['no fresh verdict is likely', false, undefined, false],
  ])('may estimate the time, or not, where %s', async (_, isLikely, follower, mayEstimate) => {
    const { settled, found, reply, reads } = rig({ follower });
    reply(found(1_000));
    expect(await settled({ isLikely })).toMatchObject({ hasEntry: true });
    expect(reads).toEqual([mayEstimate]);
  });

  test.each([
    ['at the first read', false],
    ['at the one that follows an estimate', true],
  ])('redacts the key in an entry: %s', async (_, isEstimated) => {
    const { clock, settled, found, reply } = rig();
    if (isEstimated) reply({ now: clock.wall(), isEstimate: true });
    reply(found(1_000, { claims: { note: KEY } }));
    expect(await settled()).toMatchObject({ hasEntry: true, result: { claims: { note: '[redacted]' } } });
  });

  test.each([
    ['30 of 50 ms are over, so it has 20', 0, 30, undefined, BUDGET],
    ['it comes in time', 0, 30, 19, 49],
    ['only 40 ms are left of timeoutMs', 1_960, 30, undefined, 40],
  ])('shares its budget between two reads: %s', async (_, passedMs, firstMs, secondMs, endsAfterMs) => {
    const { clock, look, found, reply } = rig();
    reply({ now: clock.wall(), isEstimate: true }, firstMs);
    if (secondMs !== undefined) reply(found(1_000), secondMs);
    let ended: { readonly look: unknown } | undefined;
    void look({ startedAt: clock.monotonic() - passedMs }).then((look) => (ended = { look }));
    await clock.advance(firstMs);
    await clock.advance(endsAfterMs - firstMs - 1);
    expect(ended).toBeUndefined();
    await clock.advance(1);
    expect(ended).toMatchObject({ look: secondMs === undefined ? undefined : { hasEntry: true } });
  });

  test('finds nothing if a schema takes for ever', async () => {
    const { settled, found, reply } = rig({ readClaims: never });
    reply(found(1_000));
    expect(await settled()).toBeUndefined();
  });

  test.each([
    [undefined, 0],
    [stream(true), 0],
    [stream(false), BUDGET],
  ])('waits until the retained revocations are read, within its budget: %o', async (follower, waitMs) => {
    const { clock, settled, found, reply } = rig({ follower });
    const startedAt = clock.monotonic();
    reply(found(1_000));
    await settled();
    expect(clock.monotonic() - startedAt).toBe(waitMs);
  });

  test('does not wait for a stream that is down', async () => {
    const { clock, settled, found, reply } = rig({ follower: stream(false), maxTtlMs: () => 30_000 });
    const startedAt = clock.monotonic();
    reply(found(1_000));
    await settled();
    expect(clock.monotonic()).toBe(startedAt);
  });
});

describe('a verdict from the shared cache', () => {
  test('is as old as the clocks say at first, though the wall clock is set back later', async () => {
    const { clock, settled, found, reply, cache, now } = rig();
    reply(found(100_000, { fenceAgoMs: 0 }));
    expect(await settled()).toMatchObject({ result: { client: 'acme' } });
    clock.jumpWall(-100_000);
    expect(cache.get(FINGERPRINT)?.age(now())).toBe(100_000);
  });

  // The store counts in whole milliseconds, rounded down.
  test.each([
    [0, undefined],
    [1, undefined],
    [2, 'acme'],
  ])(
    'that was asked for %d ms after an invalidation, as the store tells, may have been before it',
    async (ms, client) => {
      const { clock, settled, found, reply, cache } = rig();
      cache.invalidate([{ selector: { tenant: 'cust-A' } }], clock.monotonic());
      await clock.advance(10);
      reply(found(10 - ms));
      expect((await settled())?.result).toEqual(client && expect.objectContaining({ client }));
    },
  );

  test.each([
    ['before the streams have been read', stream(false)],
    ['of which the streams cannot tell whether it was revoked', stream(true, false)],
  ])('%s does not replace a fresh one', async (_, follower) => {
    const { clock, settled, found, reply, cache, now } = rig({ follower });
    const own = { ...verdict(verified()), askedAt: now() };
    cache.set(FINGERPRINT, own, cache.position);
    await clock.advance(10_000);
    reply(found(1_000));
    expect(await settled()).toMatchObject({ hasEntry: true, result: undefined });
    const kept = cache.get(FINGERPRINT);
    expect([kept?.isFrom(own.askedAt.wall), kept?.isFresh(kept.age(now()), Infinity)]).toEqual([true, true]);
    await clock.advance(TTL);
    const newer = found(1_000);
    const askedAt = clock.wall() - 1_000;
    reply(newer);
    expect(await settled()).toMatchObject({ hasEntry: true, result: undefined });
    const taken = cache.get(FINGERPRINT);
    expect([taken?.isFrom(askedAt), taken?.isFresh(taken.age(now()), Infinity)]).toEqual([true, false]);
  });
});
