import { describe, expect, test } from 'vitest';

import { sanitize as sanitizeInPlace } from '../../src/core/redact.js';

const KEY = 'sk-0123456789';

function sanitize<T extends object>(tree: T, secrets: readonly string[]): T {
  sanitizeInPlace(tree, secrets);
  return tree;
}

describe('what is sanitized', () => {
  test('has its secrets redacted, and fields dropped that are named by one', () => {
    const tree = { echo: KEY, deep: [`Bearer ${KEY}`, 'harmless'], [KEY]: 1, [`x-${KEY}`]: { y: 1 }, kept: 2 };
    expect(sanitize(tree, [KEY])).toEqual({ echo: '[redacted]', deep: ['[redacted]', 'harmless'], kept: 2 });
  });

  test('is searched item by item, and keeps what is no text', () => {
    const words = Array<string>(KEY.length).fill('harmless');
    const tree = { list: [KEY, ...words], none: null, count: 7, unset: undefined };
    expect(sanitize(tree, [KEY])).toStrictEqual({
      list: ['[redacted]', ...words],
      none: null,
      count: 7,
      unset: undefined,
    });
  });

  test('has no field called __proto__, at any depth', () => {
    const tree = sanitize(JSON.parse('{"a":{"__proto__":{"x":1},"b":2},"__proto__":{"y":1}}') as object, []);
    expect(JSON.stringify(tree)).toBe('{"a":{"b":2}}');
    expect('x' in {} || 'y' in {}).toBe(false);
  });

  test('may be as deep as a response is long', () => {
    const depth = 30_000;
    const tree = JSON.parse(`${'['.repeat(depth)}"${KEY}"${']'.repeat(depth)}`) as unknown[];
    sanitize(tree, [KEY]);
    let node: unknown = tree;
    while (Array.isArray(node)) [node] = node as unknown[];
    expect(node).toBe('[redacted]');
  });

  test.each([
    [1, {}],
    [1, { a: 1, b: 'text', c: null }],
    [2, { a: 1, b: {}, c: [], d: 1 }],
    [3, { a: {}, b: { c: [1], d: [2] }, e: {} }],
    [4, [[[[]], []], [[]], {}]],
    [4, { map: new Map([[{ k: 1 }, [[]]]]) }],
    [30_000, JSON.parse('['.repeat(30_000) + ']'.repeat(30_000)) as unknown[]],
  ])('is known to have %i levels', (levels, tree) => {
    expect(sanitizeInPlace(tree, [])).toBe(levels);
  });

  test('may be circular', () => {
    const circle: Record<string, unknown> = { name: 'round' };
    circle['self'] = circle;
    circle['other'] = { back: circle };
    expect(Object.isFrozen(sanitize(circle, []))).toBe(true);
  });
});

describe('what is sanitized is frozen', () => {
  test('in place, to the last leaf', () => {
    const leaf = { c: 1 };
    const bare = Object.assign(Object.create(null) as object, { deep: { x: 1 } });
    const tree = { a: [leaf, [2]], b: { leaf }, bare };
    expect(sanitize(tree, [])).toBe(tree);
    const parts = [tree, tree.a, tree.a[1], tree.b, leaf, bare, bare.deep];
    expect(parts.every((part) => Object.isFrozen(part))).toBe(true);
    expect(tree).toMatchObject({ a: [{ c: 1 }, [2]], b: { leaf: { c: 1 } } });
  });

  test('also below what a schema has frozen', () => {
    const deep = { limit: 1 };
    const map = new Map();
    sanitize({ frozen: Object.freeze({ deep, map }) }, []);
    expect(Object.isFrozen(deep) && Object.isFrozen(map)).toBe(true);
  });

  test('except for instances of other classes, which would be broken by it', () => {
    class Money {
      amount = 1;
    }
    const [bytes, money, pattern] = [new Uint8Array(2), new Money(), /x/];
    sanitize({ bytes, money, pattern }, []);
    expect([bytes, money, pattern].some((part) => Object.isFrozen(part))).toBe(false);
  });
});

describe('a Date, Map or Set in claims cannot be changed:', () => {
  class Late extends Date {}
  class Table extends Map<unknown, unknown> {}
  const change = 'claims are read-only';

  test.each([
    ['Date', () => new Date(0)],
    ['Date of a subclass', () => new Late(0)],
  ])('%s', (_, make) => {
    const date = sanitize(make(), []);
    const setters = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'));
    expect(setters.length).toBeGreaterThan(10);
    for (const name of setters) {
      const write = Reflect.get(date, name) as () => void;
      expect(() => void Reflect.apply(write, date, [1]), name).toThrow(change);
    }
    expect([date.getTime(), date.getTimezoneOffset()]).toEqual([0, new Date(0).getTimezoneOffset()]);
    expect(JSON.stringify({ date })).toBe('{"date":"1970-01-01T00:00:00.000Z"}');
  });

  test.each([
    ['Map', () => new Map<unknown, unknown>([['a', 1]])],
    ['Map of a subclass', () => new Table([['a', 1]])],
  ])('%s', (_, make) => {
    const map = sanitize(make(), []);
    expect(() => map.set('b', 2)).toThrow(TypeError);
    for (const write of [() => map.set('b', 2), () => map.delete('a'), () => map.clear()])
      expect(write).toThrow(change);
    expect([...map]).toEqual([['a', 1]]);
    expect([map.get('a'), map.has('a'), map.size, [...map.keys()]]).toEqual([1, true, 1, ['a']]);
  });

  test('a Map of a newer engine', () => {
    Reflect.set(Map.prototype, 'getOrInsert', () => 'inserted');
    const map = sanitize(new Map(), []);
    Reflect.deleteProperty(Map.prototype, 'getOrInsert');
    expect(() => Reflect.apply(Reflect.get(map, 'getOrInsert') as () => void, map, [])).toThrow(change);
  });

  test('Set', () => {
    const set = sanitize(new Set(['a']), []);
    for (const write of [() => set.add('b'), () => set.delete('a'), () => set.clear()]) expect(write).toThrow(change);
    expect([...set, set.has('a'), set.size]).toEqual(['a', true, 1]);
  });

  test('what they hold', () => {
    const [key, value, item] = [{ k: 1 }, [1], [{ i: 1 }]];
    sanitize({ map: new Map([[key, value]]), set: new Set([item, 'text', null]), list: [new Date(0)] }, []);
    expect([key, value, item, item[0]].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test('no plain object gets a method that refuses', () => {
    const tree = sanitize({ set: 1, deep: { add: 2 } }, []);
    expect(tree).toStrictEqual({ set: 1, deep: { add: 2 } });
    expect(Object.getOwnPropertyNames(tree)).toEqual(['set', 'deep']);
  });
});
