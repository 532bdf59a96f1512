import { expect, test } from 'vitest';

import { Marks } from '../../src/cache/marks.js';

test('keys are marked one by one up to a bound, and all of them beyond it', () => {
  const marks = new Marks();
  for (let i = 0; i < 16_384; i++) marks.add(`key ${i}`);
  marks.add('key 0');
  expect(['key 0', 'key 16383', 'other'].map((key) => marks.has(key))).toEqual([true, true, false]);
  marks.delete('key 0');
  expect(marks.has('key 0')).toBe(false);
  marks.add('key 0');
  marks.add('one too many');
  expect(marks.has('other')).toBe(true);
  marks.add('and another one');
  expect(['key 0', 'one too many', 'other'].map((key) => marks.has(key))).toEqual([true, true, true]);
});
