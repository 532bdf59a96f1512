import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';

import type { SharedCache, SharedKey } from '../../fleet/shared-cache.js';
import type { ContractCase } from './contract-case.js';
import { checkMake } from './validate.js';

/** Opens the shared cache under test. All that it opens may be one store: each case has keys of its own. */
export type MakeSharedCache = () => SharedCache | Promise<SharedCache>;

const newKey = (namespace = 'suite'): SharedKey => ({ fingerprint: randomBytes(32).toString('hex'), namespace });
const TTL_MS = 60_000;

const CHECKS: readonly { readonly name: string; readonly run: (cache: SharedCache) => Promise<void> }[] = [
  {
    name: 'says the time where nothing is known of a key',
    run: async (cache) => {
      const first = await cache.get(newKey());
      const second = await cache.get(newKey());
      deepEqual([first.entry, second.entry], [undefined, undefined]);
      ok(Number.isFinite(first.now) && second.now >= first.now, `${first.now}, then ${second.now}`);
    },
  },
  {
    name: 'gives back what was put, with its fence, and for this key alone',
    run: async (cache) => {
      const key = newKey();
      const { now } = await cache.get(key);
      for (const value of ['{"a":"ü€😀"}', `"${'x'.repeat(16_000)}"`]) {
        equal(await cache.put(key, value, { fence: now, replacesEqual: true, ttlMs: TTL_MS }), true);
        const { entry } = await cache.get(key);
        // It may have been filled up, as JSON may.
        deepEqual([entry?.value.trimEnd(), entry?.fence], [value, now]);
      }
      equal((await cache.get({ ...key, namespace: 'another' })).entry, undefined);
      equal((await cache.get(newKey())).entry, undefined);
    },
  },
  {
    name: 'takes the time for no earlier than it is where it may estimate it, and gives back the same',
    run: async (cache) => {
      const key = newKey();
      const { now } = await cache.get(key);
      await cache.put(key, '"1"', { fence: now, replacesEqual: true, ttlMs: TTL_MS });
      for (let i = 0; i < 20; i++) {
        const told = await cache.get(key);
        const read = await cache.get(key, { mayEstimate: true });
        deepEqual([read.entry?.value.trimEnd(), read.entry?.fence], ['"1"', now]);
        ok(read.now >= told.now, `${told.now}, then ${read.now}`);
      }
    },
  },
  {
    name: 'keeps the entry with the later fence, and of equal ones the first unless told otherwise',
    run: async (cache) => {
      const key = newKey();
      const { now } = await cache.get(key);
      const put = async (value: string, fence: number, replacesEqual: boolean): Promise<string | undefined> => {
        await cache.put(key, value, { fence, replacesEqual, ttlMs: TTL_MS });
        return (await cache.get(key)).entry?.value.trimEnd();
      };
      equal(await put('"1"', now, false), '"1"');
      equal(await put('"2"', now - 1, true), '"1"');
      equal(await put('"3"', now, false), '"1"');
      equal(await put('"4"', now, true), '"4"');
      equal(await put('"5"', now + 1, false), '"5"');
      equal(await cache.put(key, '"6"', { fence: now, replacesEqual: true, ttlMs: TTL_MS }), false);
    },
  },
  {
    name: 'keeps the latest of many that are put at once',
    run: async (cache) => {
      const key = newKey();
      const { now } = await cache.get(key);
      const fences = Array.from({ length: 64 }, (_, i) => now - ((i * 29) % 64));
      await Promise.all(
        fences.map(
          async (fence) => await cache.put(key, String(fence), { fence, replacesEqual: false, ttlMs: TTL_MS }),
        ),
      );
      equal((await cache.get(key)).entry?.value.trimEnd(), String(now));
    },
  },
  {
    name: 'forgets an entry after its time',
    run: async (cache) => {
      const key = newKey();
      const { now } = await cache.get(key);
      await cache.put(key, '"1"', { fence: now, replacesEqual: false, ttlMs: 50 });
      while ((await cache.get(key)).entry !== undefined) await setTimeout(5);
    },
  },
  {
    name: 'leases a key to one at a time',
    run: async (cache) => {
      const key = newKey();
      const taken = await Promise.all(Array.from({ length: 10 }, async () => await cache.lease(key, 50)));
      equal(taken.filter(Boolean).length, 1);
      equal(await cache.lease(newKey(), 50), true);
      while (!(await cache.lease(key, 50))) await setTimeout(5);
    },
  },
];

/**
 * What every `SharedCache` must do. That it may fail and hang is not part of it: the verifier sees to that.
 *
 * @example
 * ```ts
 * for (const { name, run } of sharedCacheCases(() => myCache(client))) test(name, run);
 * ```
 */
export function sharedCacheCases(makeCache: MakeSharedCache): readonly ContractCase[] {
  checkMake('makeCache', makeCache);
  return CHECKS.map(({ name, run }) => ({ name, run: async () => await run(await makeCache()) }));
}
