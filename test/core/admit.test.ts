import { describe, expect, test } from 'vitest';

import { MAX_KEY_LENGTH, isAdmissible, isHashable, localRejection } from '../../src/core/admit.js';

describe('a key', () => {
  test.each(['k', 'sk-0123', 'with spaces', 'schlüssel', '\u{1f511}', 'a'.repeat(4_096)])('may be %j', (key) => {
    expect(isHashable(key) && isAdmissible(key, undefined)).toBe(true);
  });

  test.each([undefined, null, '', 42, {}, ['k'], true])('can not be %j', (key) => {
    expect(isHashable(key)).toBe(false);
  });

  test('is no longer than 4 096 code units', () => {
    expect(MAX_KEY_LENGTH).toBe(4_096);
    expect(isHashable('a'.repeat(4_097))).toBe(false);
    expect(isHashable('\u{1f511}'.repeat(2_048))).toBe(true);
    expect(isHashable('\u{1f511}'.repeat(2_048) + 'a')).toBe(false);
  });

  test.each(['\0', '\n', 'a\r\nb', '\t', '\x1f', '\x7f', '\x85'])('holds no control character: %j', (key) => {
    expect(isAdmissible(`k${key}k`, undefined)).toBe(false);
  });

  test.each(['\ud800', 'a\ud83d', '\udd11a', '\udd11\ud83d', 'a\ufffd'])(
    'holds no half of a surrogate pair, nor what such a half is hashed as: %j',
    (key) => {
      expect(isAdmissible(key, undefined)).toBe(false);
    },
  );

  test('has the configured format', () => {
    expect(isAdmissible('sk-12', /^sk-\d+$/)).toBe(true);
    expect(isAdmissible('pk-12', /^sk-\d+$/)).toBe(false);
  });

  test('is not kept by the engine as the latest text that matched', () => {
    expect(isAdmissible('sk-0123456789', /^sk-(\d+)$/)).toBe(true);
    const { input, lastMatch, leftContext, $1 } = RegExp as unknown as Record<string, string>;
    expect([input, lastMatch, leftContext, $1]).toEqual(['', '', '', '']);
  });
});

describe('what can be no key', () => {
  test.each([undefined, null, ''])('is missing where it is %j', (key) => {
    expect(localRejection(key)).toEqual({ valid: false, source: 'local', reason: 'missing_key' });
  });

  test.each(['\n', 42, 0, false, 'pk-1'])('is malformed where it is %j', (key) => {
    expect(localRejection(key)).toEqual({ valid: false, source: 'local', reason: 'malformed_key' });
  });

  test('is refused by one frozen object', () => {
    for (const key of ['', '\n']) {
      expect(localRejection(key)).toBe(localRejection(key));
      expect(Object.isFrozen(localRejection(key))).toBe(true);
    }
  });
});
