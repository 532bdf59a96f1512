import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import * as node from '../../src/platform/node.js';
import type { Platform } from '../../src/platform/platform.js';
import * as web from '../../src/platform/web.js';

const PLATFORMS: readonly (readonly [string, Platform])[] = [
  ['node', node],
  ['web', web],
];

type Value = string | number | boolean;

describe.each(PLATFORMS)('the LRU of the platform %s', (_name, { LRUCache }) => {
  const lru = (max: number, ...keys: string[]) => {
    const made = new LRUCache<string, Value>({ max });
    for (const key of keys) made.set(key, `${key}!`);
    return made;
  };
  const held = (cache: ReturnType<typeof lru>): Record<string, Value> => {
    const found: Record<string, Value> = {};
    cache.forEach((value, key) => (found[key] = value));
    return found;
  };

  test('gives what it was given, and nothing else', () => {
    const cache = lru(2, 'a');
    expect([cache.get('a'), cache.get('b'), cache.size]).toEqual(['a!', undefined, 1]);
    expect(lru(2).get('')).toBeUndefined();
  });

  test('holds what is falsy', () => {
    const cache = lru(4);
    for (const [key, value] of [['0', 0] as const, ['f', false] as const, ['', ''] as const]) {
      cache.set(key, value);
      expect(cache.get(key)).toBe(value);
    }
    expect(cache.size).toBe(3);
  });

  test('overwrites without pushing anything out', () => {
    const cache = lru(2, 'a', 'b');
    cache.set('b', 'new');
    expect(held(cache)).toEqual({ a: 'a!', b: 'new' });
  });

  test('pushes out what was used longest ago, be it read or written', () => {
    const cache = lru(3, 'a', 'b', 'c');
    cache.get('a');
    cache.set('b', 'b!');
    cache.set('d', 'd!');
    expect(held(cache)).toEqual({ a: 'a!', b: 'b!', d: 'd!' });
    cache.set('e', 'e!');
    expect(held(cache)).toEqual({ b: 'b!', d: 'd!', e: 'e!' });
  });

  test('takes no look for a use, and no miss for one', () => {
    const cache = lru(2, 'a', 'b');
    held(cache);
    expect([cache.peek('a'), cache.peek('z')]).toEqual(['a!', undefined]);
    cache.get('x');
    cache.set('c', 'c!');
    expect(held(cache)).toEqual({ b: 'b!', c: 'c!' });
  });

  test('holds one where one is all it may hold', () => {
    const cache = lru(1, 'a', 'b');
    expect([cache.size, held(cache)]).toEqual([1, { b: 'b!' }]);
  });

  test('deletes the first, the last and one between them, and says whether there was one', () => {
    for (const gone of ['a', 'b', 'c']) {
      const cache = lru(3, 'a', 'b', 'c');
      expect([cache.delete(gone), cache.delete(gone), cache.size, cache.get(gone)]).toEqual([
        true,
        false,
        2,
        undefined,
      ]);
      const [older, newer] = ['a', 'b', 'c'].filter((key) => key !== gone);
      for (const key of ['d', 'e']) cache.set(key, `${key}!`);
      expect(Object.keys(held(cache)).sort()).toEqual([newer, 'd', 'e']);
      expect(cache.get(String(older))).toBeUndefined();
    }
  });

  test('is empty when it is cleared, and as good as new', () => {
    const cache = lru(2, 'a', 'b');
    cache.clear();
    expect([cache.size, cache.get('a'), held(cache)]).toEqual([0, undefined, {}]);
    for (const key of ['c', 'd', 'e']) cache.set(key, `${key}!`);
    expect(held(cache)).toEqual({ d: 'd!', e: 'e!' });
  });

  test('does whatever is done to it as a list would that moves what is used to its end', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const step = fc.oneof(
      fc.record({ does: fc.constantFrom('get', 'set', 'delete'), key }),
      fc.record({ does: fc.constant('clear'), key }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
        const cache = lru(max);
        let model: [string, number][] = [];
        steps.forEach(({ does, key: at }, turn) => {
          const found = model.find(([one]) => one === at);
          const rest = model.filter((entry) => entry !== found);
          if (does === 'get') {
            expect(cache.get(at)).toBe(found?.[1]);
            if (found !== undefined) model = [...rest, found];
          } else if (does === 'set') {
            cache.set(at, turn);
            model = [...rest, [at, turn] satisfies [string, number]].slice(-max);
          } else if (does === 'delete') {
            expect(cache.delete(at)).toBe(found !== undefined);
            model = rest;
          } else {
            cache.clear();
            model = [];
          }
          expect(held(cache)).toEqual(Object.fromEntries(model));
          expect(cache.size).toBe(model.length);
        });
      }),
    );
  });
});
