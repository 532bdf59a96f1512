import { randomBytes } from 'node:crypto';

import { describe, expect, test, vi } from 'vitest';

import type { SharedCache, SharedGet, SharedKey } from 'keyverify';
import { redisCache, type SendCommand } from 'keyverify/redis';
import { memoryFleet } from 'keyverify/testing';

import { connectClient, startRedis, withoutRedis } from '../helpers/redis.js';
import { secret } from '../helpers/redis-fleet.js';
import { GOOD, brief, rig, until } from '../helpers/rig.js';

const ESTIMATE: SharedGet = { mayEstimate: true };
const newKey = (): SharedKey => ({ fingerprint: randomBytes(32).toString('hex'), namespace: 'n' });

/** A shared cache in Redis that knows the time of it, a key with an entry, and what is sent. */
async function redisRig() {
  const redis = await startRedis();
  const send = await connectClient('ioredis', redis.port);
  const sent: string[] = [];
  const recording: SendCommand = async ([command, ...values], key) => {
    sent.push(command);
    return await send([command, ...values], key);
  };
  const cache = redisCache({ send: recording, secret });
  const key = newKey();
  const { now } = await cache.get(key);
  await cache.put(key, '"x"', { fence: now, replacesEqual: true, ttlMs: 60_000 });
  /** The latest read found an entry, and the time of Redis has been told just now. */
  const warm = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await cache.get(key);
    sent.length = 0;
  };
  const nameOf = async (): Promise<string> => ((await send(['KEYS', 'keyverify:*'], '')) as string[])[0] ?? '';
  await warm();
  return { send, sent, cache, key, warm, name: await nameOf() };
}

describe.skipIf(withoutRedis)('an entry in Redis', { timeout: 60_000 }, () => {
  test('is read without a script once the time of Redis is known, where that is wanted', async () => {
    const { sent, cache, key, warm } = await redisRig();
    const before = await cache.get(key);
    await warm();
    const read = await cache.get(key, ESTIMATE);
    expect(read).toMatchObject({ isEstimate: true, entry: { fence: before.entry?.fence } });
    expect(read.now).toBeGreaterThanOrEqual(before.now);
    expect(await cache.get(key)).not.toHaveProperty('isEstimate');
    expect(sent).toEqual(['GETRANGE', 'EVAL']);
  });

  test('that is not there is looked for with the time, and so is the next one', async () => {
    const { sent, cache, key } = await redisRig();
    for (const look of [newKey(), newKey(), key, key]) await cache.get(look, ESTIMATE);
    expect(sent).toEqual(['GETRANGE', 'EVAL', 'EVAL', 'EVAL', 'GETRANGE']);
  });

  test('that was put after Redis last told its time is dated by the time of now', async () => {
    const { send, sent, cache, key, warm } = await redisRig();
    const other = redisCache({ send, secret });
    const told = (await cache.get(key)).now;
    const late = newKey();
    let { now } = await other.get(late);
    while (now <= told) ({ now } = await other.get(late));
    await other.put(late, '"x"', { fence: now, replacesEqual: true, ttlMs: 60_000 });
    sent.length = 0;
    expect(await cache.get(late, ESTIMATE)).not.toHaveProperty('isEstimate');
    expect(sent.at(-1)).toBe('EVAL');
    await warm();
    expect((await cache.get(late, ESTIMATE)).isEstimate).toBe(true);
  });

  test.each<[string, (name: string, value: string) => [string, ...string[]]]>([
    ['of another type', (name) => ['LPUSH', name, 'x']],
    ['too long', (name) => ['SET', name, 'x'.repeat(70_000)]],
    ['rubbish', (name) => ['SET', name, 'rubbish']],
    ['made younger', (name, value) => ['SET', name, value.replace(/^\d+/, (fence) => String(Number(fence) + 1))]],
    ['altered', (name, value) => ['SET', name, value.slice(0, -8) + 'AAAAAAAA']],
  ])('%s is found out by a plain read as well', async (_, attack) => {
    const { send, sent, cache, key, name } = await redisRig();
    const value = String(await send(['GET', name], name));
    await send(['DEL', name], name);
    await send(attack(name, value), name);
    const read = await cache.get(key, ESTIMATE);
    expect([read.unsealable, read.entry, read.isEstimate]).toEqual([true, undefined, undefined]);
    expect(sent).toEqual(['GETRANGE', 'EVAL']);
  });

  test('is read alike where the cryptography has to be waited for', async () => {
    const { send, key } = await redisRig();
    vi.stubGlobal('process', undefined);
    const cache = redisCache({ send, secret });
    vi.unstubAllGlobals();
    const told = await cache.get(key);
    for (let i = 0; i < 10; i++) await cache.get(key);
    expect(await cache.get(key, ESTIMATE)).toMatchObject({ isEstimate: true, entry: told.entry });
    expect(await cache.get(newKey(), ESTIMATE)).not.toHaveProperty('entry');
  });

  test('is read with the time while a secret is being replaced', async () => {
    const { send, key } = await redisRig();
    const cache = redisCache({ send, secret: [`the-next-${secret}`, secret] });
    for (let i = 0; i < 12; i++) expect((await cache.get(key, ESTIMATE)).isEstimate).toBeUndefined();
  });
});

describe('an estimate of the time', () => {
  /** A store that is told the time by `now()`, and takes it for 40 ms later where it may. */
  async function estimates() {
    const base = await rig();
    const fleet = memoryFleet({ clock: base.clock });
    const looks: boolean[] = [];
    const fences: number[] = [];
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      async get(key, { mayEstimate = false } = {}) {
        looks.push(mayEstimate);
        const read = await fleet.sharedCache.get(key);
        return mayEstimate && read.entry !== undefined ? { ...read, now: read.now + 40, isEstimate: true } : read;
      },
      async put(key, value, options) {
        fences.push(options.fence);
        return await fleet.sharedCache.put(key, value, options);
      },
      lease: async (key, ms) => await fleet.sharedCache.lease(key, ms),
    };
    const first = base.build({ sharedCache });
    await first.verify(GOOD);
    await until(() => fences.length === 1);
    looks.length = 0;
    return { ...base, looks, fences, sharedCache };
  }

  test('makes a verdict no younger', async () => {
    const { clock, build, looks, sharedCache } = await estimates();
    await clock.advance(299_960);
    const [a, b] = [build({ sharedCache }), build({ sharedCache, refreshAheadRatio: 0.999999 })];
    expect(brief(await a.verify(GOOD))).toBe('valid server');
    expect(looks).toEqual([true, false]);
    expect(brief(await b.verify(GOOD))).toBe('valid shared');
  });

  test('is no fence: where a question follows, the store is asked for its time', async () => {
    const { clock, build, looks, fences, sharedCache } = await estimates();
    await clock.advance(1_000);
    const verifier = build({ sharedCache });
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 500 }))).toBe('valid server');
    await until(() => fences.length === 2);
    expect([looks, fences[1]]).toEqual([[true, false], clock.wall()]);
  });

  test('is not wanted by a refresh, which may have to ask', async () => {
    const { clock, build, looks, fences, sharedCache } = await estimates();
    const verifier = build({ sharedCache });
    await verifier.verify(GOOD);
    await clock.advance(280_000);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => fences.length === 2);
    expect([looks, fences[1]]).toEqual([[true, false], clock.wall()]);
  });

  test('may be the last that the store says: the answer is not shared then', async () => {
    const { clock, build, fences, sharedCache } = await estimates();
    await clock.advance(1_000);
    let down = false;
    const get: SharedCache['get'] = async (key, options) => {
      if (down) throw new Error('down');
      down = true;
      return await sharedCache.get(key, options);
    };
    const verifier = build({ sharedCache: { ...sharedCache, get } });
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 500 }))).toBe('valid server');
    await verifier.close();
    expect(fences).toHaveLength(1);
  });
});
