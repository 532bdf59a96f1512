import { describe, expect, test } from 'vitest';

import { containsSecret, innermostError, redact, redactError } from '../../src/core/redact.js';

const KEY = 'sk-0123456789';
const AWKWARD = 'sk/"quoted" & +more';
const AWKWARD_FORMS = [
  AWKWARD,
  String.raw`sk/\"quoted\" & +more`,
  'sk%2F%22quoted%22%20%26%20%2Bmore',
  'sk%2F%22quoted%22+%26+%2Bmore',
];

describe('redact', () => {
  test('replaces each secret wherever it occurs', () => {
    expect(redact(`a ${KEY} b ${KEY} c token-1`, [KEY, 'token-1'])).toBe('a [redacted] b [redacted] c [redacted]');
    expect(redact('nothing to see', [KEY])).toBe('nothing to see');
  });

  test.each(AWKWARD_FORMS)('replaces a secret that is quoted as %s', (form) => {
    expect(redact(`<${form}>`, [AWKWARD])).toBe('<[redacted]>');
  });

  test.each([
    ['a secret of eight characters also inside of words', 'x12345678x', '12345678', 'x[redacted]x'],
    ['a shorter one as a word', 'x 1234567 x', '1234567', 'x [redacted] x'],
    ['a shorter one that is all there is', 'abc', 'abc', '[redacted]'],
    ['a shorter one between signs', '(abc)"abc"-abc.', 'abc', '([redacted])"[redacted]"-[redacted].'],
    ['only the whole words among several', 'abc abcd abc_ abc', 'abc', '[redacted] abcd abc_ [redacted]'],
    ['no part of a constant', 'UND_ERR_SOCKET', 'SOCKET', 'UND_ERR_SOCKET'],
    ['no beginning of a word', 'abcd', 'abc', 'abcd'],
    ['no end of a word', 'zabc', 'abc', 'zabc'],
    ['no part of a number', '0abc abc9 9abc abc0', 'abc', '0abc abc9 9abc abc0'],
    ['no part of a foreign word', 'éabc abcÉ', 'abc', 'éabc abcÉ'],
    ['a word beside signs close to digits', '/abc: :abc/', 'abc', '/[redacted]: :[redacted]/'],
    ['an overlapping word once', 'a-a-a', 'a-a', '[redacted]-a'],
    ['a short one as JSON quotes it', String.raw`x "a\"b" x`, 'a"b', 'x "[redacted]" x'],
    ['nothing for an empty one', 'x abc x', '', 'x abc x'],
  ])('replaces %s', (_, text, secret, clean) => {
    expect(redact(text, [secret])).toBe(clean);
  });
});

describe('several secrets', () => {
  const TOKEN = 'sk-live-4f9a8b7c6d5e';

  test.each(['sk', 'live', 'sk-live-', 'live-4f9a8b7', '4f9a8b7c6d5e', '6d5e and more', TOKEN])(
    'are all replaced where the key %s is a part of the token, or reaches into it',
    (key) => {
      for (const secrets of [
        [key, TOKEN],
        [TOKEN, key],
      ])
        expect(redact(`bad ${TOKEN} and more`, secrets)).toMatch(/^bad \[redacted\](?: and more)?$/);
    },
  );

  test('are replaced each by itself where they stand side by side', () => {
    expect(redact(`${KEY}${TOKEN}`, [TOKEN, KEY])).toBe('[redacted][redacted]');
  });
});

test.each(['\ud800abcdefgh', 'abcdefgh\udc00'])('half a surrogate pair in a key is no reason to throw: %j', (key) => {
  expect(redact(`as it is: ${key}, in JSON: ${JSON.stringify(key)}`, [key])).toBe(
    'as it is: [redacted], in JSON: "[redacted]"',
  );
  expect(containsSecret(`<${key}>`, [key])).toBe(true);
});

describe('containsSecret', () => {
  test('finds a secret anywhere in the text', () => {
    expect(containsSecret(`x${KEY}x`, ['other-secret', KEY])).toBe(true);
    expect(containsSecret(KEY.slice(1), [KEY])).toBe(false);
    expect(containsSecret(KEY, [])).toBe(false);
  });

  test('does not look for secrets under eight characters: they are in every other word', () => {
    expect(containsSecret('enterprise', ['enter'])).toBe(false);
    expect(containsSecret('x 1234567 x', ['1234567'])).toBe(false);
    expect(containsSecret('x 12345678 x', ['12345678'])).toBe(true);
  });

  test.each(AWKWARD_FORMS)('finds a secret that is quoted as %s', (form) => {
    expect(containsSecret(`<${form}>`, [AWKWARD])).toBe(true);
  });
});

describe('innermostError', () => {
  test('takes name and message of the innermost cause, and the innermost code there is', () => {
    const inner = new RangeError('inner');
    const middle = Object.assign(new Error('middle', { cause: inner }), { code: 'E_MIDDLE' });
    const outer = Object.assign(new TypeError('outer', { cause: middle }), { code: 'E_OUTER' });
    expect(innermostError(outer)).toEqual({ name: 'RangeError', message: 'inner', code: 'E_MIDDLE' });
  });

  test('takes the first of several errors', () => {
    const tried = new AggregateError([
      Object.assign(new Error('::1 refused'), { code: 'ECONNREFUSED' }),
      new Error('2'),
    ]);
    expect(innermostError(tried)).toEqual({ name: 'Error', message: '::1 refused', code: 'ECONNREFUSED' });
  });

  test('prefers a cause to the first of several errors', () => {
    const tried = new AggregateError([new Error('one of them')], 'all', { cause: new Error('the cause') });
    expect(innermostError(tried).message).toBe('the cause');
  });

  test('takes the outer message where the cause has none, else the code', () => {
    expect(innermostError(new Error('outer', { cause: new Error('') })).message).toBe('outer');
    expect(innermostError(Object.assign(new Error(''), { code: 'EPIPE' }))).toEqual({
      name: 'Error',
      message: 'EPIPE',
      code: 'EPIPE',
    });
    expect(innermostError(new TypeError(''))).toEqual({ name: 'TypeError', message: 'no message', code: undefined });
  });

  test.each([undefined, null, 'a thrown text', 42, { message: 'alike' }])(
    'knows nothing of what is no error: %j',
    (thrown) => {
      expect(innermostError(thrown)).toEqual({ name: 'Error', message: 'no message', code: undefined });
    },
  );

  test('copes with any value in any place', () => {
    const odd = Object.assign(new Error('well'), { code: 7, name: Symbol('name'), message: { toString: null } });
    expect(innermostError(odd)).toEqual({ name: 'Error', message: 'no message', code: undefined });
    expect(redactError(odd, [KEY]).message).toBe('no message');
  });

  test('follows eight causes, so that a circle of them ends', () => {
    const chain = (length: number): Error =>
      length === 1 ? new Error('the last') : new Error(`${length} from the end`, { cause: chain(length - 1) });
    expect(innermostError(chain(8)).message).toBe('the last');
    expect(innermostError(chain(9)).message).toBe('2 from the end');
    const circle = new Error('round');
    circle.cause = circle;
    expect(innermostError(circle).message).toBe('round');
  });
});

describe('an error of which nothing can be read', () => {
  const thrower = () => {
    throw new Error('no');
  };

  test('is an error all the same', () => {
    const hostile = new Proxy(new Error(KEY), { get: thrower, has: thrower, getPrototypeOf: thrower });
    const withoutCause = Object.defineProperty(new Error(KEY), 'cause', { get: thrower });
    for (const error of [hostile, withoutCause])
      expect(redactError(error, [KEY])).toMatchObject({ name: 'Error', message: 'no message' });
  });
});

describe('redactError', () => {
  test('makes a new error with name, code and message only, without secrets', () => {
    const error = Object.assign(new Error(`bad header ${KEY}`), {
      name: `Bad${KEY}`,
      code: `E_${KEY}`,
      request: { key: KEY },
    });
    const safe = redactError(error, [KEY]);
    expect(safe).not.toBe(error);
    expect(safe).toBeInstanceOf(Error);
    expect(safe).toMatchObject({ name: 'Bad[redacted]', code: 'E_[redacted]', message: 'bad header [redacted]' });
    expect(Object.keys(safe).sort()).toEqual(['code', 'name']);
    expect(safe.cause).toBeUndefined();
    expect(safe.stack).not.toContain(KEY);
  });

  test('makes one line of a message that ends with a line break', () => {
    expect(redactError(new Error(' bad decrypt\n'), []).message).toBe('bad decrypt');
  });

  test('drops the frames: they would hold on to the key', () => {
    expect(redactError(new TypeError('plain'), []).stack).toBe('TypeError: plain');
  });

  test('adds no code where there was none', () => {
    const safe = redactError(new TypeError('plain'), [KEY]);
    expect(safe.name).toBe('TypeError');
    expect('code' in safe).toBe(false);
  });
});
