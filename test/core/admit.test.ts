import { describe, expect, test } from 'vitest';

import { MAX_KEY_LENGTH, isAdmissible, isHashable, localRejection, type KeyFormat } from '../../src/core/admit.js';

const REJECTED = { status: 'rejected', valid: false, source: 'local' };
const BLANKS = ['', ' ', '   ', '\t', '\n', ' \r\n', '\u00a0', '\u3000\u2003', '\ufeff', ' '.repeat(5_000)];

describe('a key', () => {
  test.each(['k', 'sk-0123', ' k', 'k ', '\u00a0k', 'with spaces', 'schlüssel', '\u{1f511}', 'a'.repeat(4_096)])(
    'may be %j',
    (key) => {
      expect(isHashable(key) && isAdmissible(key, undefined)).toBe(true);
    },
  );

  test.each([undefined, null, 42, {}, ['k'], true, ...BLANKS])('may not be %j', (key) => {
    expect(isHashable(key)).toBe(false);
  });

  test('has at most 4 096 code units', () => {
    expect(MAX_KEY_LENGTH).toBe(4_096);
    expect(isHashable('a'.repeat(4_097))).toBe(false);
    expect(isHashable('\u{1f511}'.repeat(2_048))).toBe(true);
    expect(isHashable('\u{1f511}'.repeat(2_048) + 'a')).toBe(false);
  });

  test.each(['\0', '\n', 'a\r\nb', '\t', '\x1f', '\x7f', '\x85'])('has no control character: %j', (key) => {
    expect(isAdmissible(`k${key}k`, undefined)).toBe(false);
  });

  test.each(['Bearer sk-1', 'bearer  sk-1', 'BEARER '])('has no scheme: %j', (key) => {
    expect(isAdmissible(key, undefined)).toBe(false);
  });

  test.each(['Bearer', 'sk Bearer 1', 'Bearersk-1', ' Bearer sk-1'])('may be %j', (key) => {
    expect(isAdmissible(key, undefined)).toBe(true);
  });

  test.each(['\ud800', 'a\ud83d', '\udd11a', '\udd11\ud83d', 'a\ufffd'])(
    'has no half of a surrogate pair, nor the character that it is hashed as: %j',
    (key) => {
      expect(isAdmissible(key, undefined)).toBe(false);
    },
  );
});

describe('keyFormat', () => {
  test('may be a pattern', () => {
    expect(isAdmissible('sk-12', /^sk-\d+$/)).toBe(true);
    expect(isAdmissible('pk-12', /^sk-\d+$/)).toBe(false);
  });

  test('may be a function, which gets the key', () => {
    const endsInItsLength: KeyFormat = (key) => key.endsWith(String(key.length));
    expect(isAdmissible('sk-abc-8', endsInItsLength)).toBe(true);
    expect(isAdmissible('sk-abc-9', endsInItsLength)).toBe(false);
  });

  test.each([1, 'yes', {}, Promise.resolve(true), undefined])('denies if it returns %o instead of true', (returned) => {
    expect(isAdmissible('sk-12', () => returned as boolean)).toBe(false);
  });

  test('denies if it throws', () => {
    const broken = (): never => {
      throw new Error('broken');
    };
    expect(isAdmissible('sk-12', broken)).toBe(false);
  });

  test('is not asked about a key with a control character', () => {
    const asked: string[] = [];
    expect(isAdmissible('sk\n', (key) => asked.push(key) > 0)).toBe(false);
    expect(asked).toEqual([]);
  });

  test.each<[string, string, KeyFormat | undefined]>([
    ['a pattern', 'sk-0123456789', /^sk-(\d+)$/],
    ['a function that returns true', 'sk-0123456789', (key) => /^sk-(\d+)$/.test(key)],
    ['a function that returns false', 'sk-0123456789', (key) => !/^sk-(\d+)$/.test(key)],
    [
      'a function that throws',
      'sk-0123456789',
      (key) => {
        throw new Error(/^sk-(\d+)$/.test(key) ? 'of a key' : 'of none');
      },
    ],
    ['a control character', 'sk-0123456789\n', undefined],
    ['a scheme', 'Bearer sk-0123456789', undefined],
  ])('does not leave the key behind in what the engine remembers of the last match: %s', (_, key, format) => {
    isAdmissible(key, format);
    const { input, lastMatch, leftContext, $1 } = RegExp as unknown as Record<string, string>;
    expect([input, lastMatch, leftContext, $1]).toEqual(['', '', '', '']);
  });
});

describe('a local rejection', () => {
  test.each([undefined, null, ...BLANKS])('calls %j a missing key', (key) => {
    expect(localRejection(key)).toEqual({ ...REJECTED, reason: 'missing_key' });
  });

  test.each(['a\n', 42, 0, false, 'pk-1', {}])('calls %j a malformed key', (key) => {
    expect(localRejection(key)).toEqual({ ...REJECTED, reason: 'malformed_key' });
  });

  test('is one frozen object for each reason', () => {
    for (const key of ['', 'a\n']) {
      expect(localRejection(key)).toBe(localRejection(key));
      expect(Object.isFrozen(localRejection(key))).toBe(true);
    }
  });
});
