import { describe, expect, test } from 'vitest';

import { isNear, issueMessages, meant, shown } from '../../src/core/messages.js';
import { anything, isText, parse, strict, check } from '../../src/core/schema.js';

type Shape = Parameters<typeof strict>[0];

/** The messages about `given`, by a schema that is not that of the options. */
function messages(shape: Shape, given: unknown, names: Record<string, readonly string[]> = {}): string[] {
  const parsed = parse(strict(shape, 'an object'), given, { reportInput: true });
  return issueMessages(parsed.error?.issues ?? [], names);
}

const text = check(isText, 'a text');

describe('mistakes', () => {
  test('are none where nothing is wrong', () => {
    expect(messages({ name: text, other: anything() }, { name: 'x', other: undefined })).toEqual([]);
  });

  test('are listed with what was expected and what came', () => {
    expect(messages({ name: text }, { name: 5 })).toEqual(['name: expected a text, got 5']);
    expect(messages({ name: text }, {})).toEqual(['name: expected a text, got undefined']);
  });

  test('are listed with their place', () => {
    const shape = { outer: strict({ inner: text }, 'a box') };
    expect(messages(shape, { outer: { inner: '' } })).toEqual(['outer.inner: expected a text, got an empty string']);
    for (const [outer, shown] of [[null, 'null'] as const, [['inner'], 'an array'] as const])
      expect(messages(shape, { outer })).toEqual([`outer: expected a box, got ${shown}`]);
  });

  test('suggest the closest name of the same place, if there is one', () => {
    const names = { '': ['xbcx', 'abxd', 'xxxx'], outer: ['abcx'] };
    expect(messages({}, { abcd: 1 }, names)).toEqual(['abcd: there is no such option, did you mean abxd?']);
    expect(messages({ outer: strict({}) }, { outer: { abcd: 1 } }, names)).toEqual([
      'outer.abcd: there is no such option, did you mean abcx?',
    ]);
    expect(messages({}, { abcd: 1 })).toEqual(['abcd: there is no such option']);
    expect(messages({}, { abc: 1 })).toEqual(['abc: there is no such option']);
  });

  test('are listed for each unknown name', () => {
    expect(messages({}, { one: 1, two: 2 })).toEqual(['one: there is no such option', 'two: there is no such option']);
  });
});

test.each([
  ['header', 'breaker', false],
  ['retry', 'retries', true],
  ['onFail', 'onFailure', true],
  ['stauts', 'status', true],
  ['Status', 'stateS', true],
  ['abc', 'xyz', false],
  ['sned', 'send', false],
  ['ab', 'abcd', true],
  ['abcd', 'ab', true],
  ['a', 'b', false],
  ['same', 'same', true],
  ['cacheTtl', 'cacheTtlSeconds', false],
])('%s and %s: one may be a typo of the other: %s', (name, other, near) => {
  expect(isNear(name, other)).toBe(near);
});

test.each([
  ['url', ['verifyUrl'], 'verifyUrl'],
  ['ttlSeconds', ['cacheTtlMs', 'rejectedTtlMs'], 'cacheTtlMs'],
  ['ms', ['openMs', 'timeoutMs'], ''],
  ['Seconds', ['openMs'], ''],
  ['apiKey', ['keyFormat', 'scope', 'cacheTtlMs'], ''],
  ['tokens', ['random', 'tokenTypes'], ''],
])('%s is taken for the end of one of %j: %j', (name, names, suggested) => {
  expect(meant(name, names)).toBe(suggested === '' ? '' : `, did you mean ${suggested}?`);
});

describe('a text', () => {
  test.each(['a number of milliseconds', 'a positive whole number', 'true or false', "'POST' or 'GET'"])(
    'is shown where %s is expected, if it is too short for a token',
    (expected) => {
      expect(shown('5 "min"', expected)).toBe(String.raw`"5 \"min\""`);
      expect(shown('300_000 ms', expected)).toBe('"300_000 ms"');
      expect(shown('300_000 ms.', expected)).toBe('a string of 11 characters');
      expect(shown('', expected)).toBe('an empty string');
    },
  );

  test.each([
    '',
    'a string',
    'a function',
    'a string that is not empty',
    'printable ASCII, or a function',
    "'none', 'basic', { header, prefix? } or { field }",
    'at least 32 bytes of random text',
  ])('is never shown where %s is expected: it may be a secret', (expected) => {
    expect(shown('hunter2', expected)).toBe('a string of 7 characters');
    expect(shown('x', expected)).toBe('a string of 1 character');
  });

  test('of digits only is no text in YAML: nor is such a number shown where a secret is expected', () => {
    for (const expected of ['printable ASCII, or a function', 'at least 32 bytes of random text'])
      expect(shown(1_234, expected)).toBe('a number');
    expect(shown(1_234, 'a function')).toBe('1234');
  });
});
