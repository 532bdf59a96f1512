import { expect, test } from 'vitest';

import { LinkedList, type Linked } from '../../src/resilience/linked-list.js';

interface Item extends Linked<Item> {
  readonly name: string;
}

function filled(...names: readonly string[]) {
  const items = names.map((name): Item => ({ name }));
  const list = new LinkedList<Item>();
  for (const item of items) list.add(item);
  return { list, items };
}

function read(list: LinkedList<Item>): readonly string[] {
  const forwards: string[] = [];
  for (let item = list.oldest; item !== undefined; item = item.newer) forwards.push(item.name);
  const backwards: string[] = [];
  for (let item = list.newest; item !== undefined; item = item.older) backwards.unshift(item.name);
  expect([backwards, list.size]).toEqual([forwards, forwards.length]);
  return forwards;
}

test('items stand in order of arrival', () => {
  expect(read(filled().list)).toEqual([]);
  expect(read(filled('a', 'b', 'c').list)).toEqual(['a', 'b', 'c']);
});

test.each([
  [0, ['b', 'c']],
  [1, ['a', 'c']],
  [2, ['a', 'b']],
])('item %i may leave, once, and come again', (at, left) => {
  const { list, items } = filled('a', 'b', 'c');
  const item = items[at] ?? { name: 'none' };
  list.remove(item);
  expect(read(list)).toEqual(left);
  list.remove(item);
  expect(read(list)).toEqual(left);
  list.add(item);
  expect(read(list)).toEqual([...left, item.name]);
});

test('one that was never in the list cannot leave it', () => {
  const { list } = filled('a');
  list.remove({ name: 'b' });
  expect(read(list)).toEqual(['a']);
});

test('one that left holds on to nobody', () => {
  const { list, items } = filled('a', 'b', 'c');
  for (const item of items) list.remove(item);
  expect(read(list)).toEqual([]);
  for (const { older, newer } of items) expect([older, newer]).toEqual([undefined, undefined]);
});
