import { describe as suite, expect, test } from 'vitest';

import { innermostError, containsSecret, sanitize, redact, redactError } from '../../src/core/redact.js';

const KEY = 'sk-0123456789';
const AWKWARD = 'sk/"quoted" & +more';
const AWKWARD_FORMS = [AWKWARD, String.raw`sk/\"quoted\" & +more`, 'sk%2F%22quoted%22%20%26%20%2Bmore'];

suite('a text', () => {
  test('loses the secrets in it, each time they occur', () => {
    expect(redact(`a ${KEY} b ${KEY} c token-1`, [KEY, 'token-1'])).toBe('a [redacted] b [redacted] c [redacted]');
    expect(redact('nothing to see', [KEY])).toBe('nothing to see');
  });

  test.each(AWKWARD_FORMS)('loses a secret that is quoted as %s', (form) => {
    expect(redact(`<${form}>`, [AWKWARD])).toBe('<[redacted]>');
  });

  test('loses short secrets too, and is not torn apart by an empty one', () => {
    expect(redact('x abc x', ['abc', ''])).toBe('x [redacted] x');
  });
});

suite('holding a secret', () => {
  test('means to have it anywhere in the text', () => {
    expect(containsSecret(`x${KEY}x`, ['other-secret', KEY])).toBe(true);
    expect(containsSecret(KEY.slice(1), [KEY])).toBe(false);
    expect(containsSecret(KEY, [])).toBe(false);
  });

  test('is not said of secrets under eight characters: they are in every other word', () => {
    expect(containsSecret('enterprise', ['enter'])).toBe(false);
    expect(containsSecret('x 1234567 x', ['1234567'])).toBe(false);
    expect(containsSecret('x 12345678 x', ['12345678'])).toBe(true);
  });

  test.each(AWKWARD_FORMS)('goes for a secret that is quoted as %s, too', (form) => {
    expect(containsSecret(`<${form}>`, [AWKWARD])).toBe(true);
  });
});

suite('an error', () => {
  test('is told by its innermost cause, and by the innermost code there is', () => {
    const inner = new RangeError('inner');
    const middle = Object.assign(new Error('middle', { cause: inner }), { code: 'E_MIDDLE' });
    const outer = Object.assign(new TypeError('outer', { cause: middle }), { code: 'E_OUTER' });
    expect(innermostError(outer)).toEqual({ name: 'RangeError', message: 'inner', code: 'E_MIDDLE' });
  });

  test('that stands for several is told by the first of them', () => {
    const tried = new AggregateError([
      Object.assign(new Error('::1 refused'), { code: 'ECONNREFUSED' }),
      new Error('2'),
    ]);
    expect(innermostError(tried)).toEqual({ name: 'Error', message: '::1 refused', code: 'ECONNREFUSED' });
  });

  test('with a cause of its own is told by that, even if it stands for several', () => {
    const tried = new AggregateError([new Error('one of them')], 'all', { cause: new Error('the cause') });
    expect(innermostError(tried).message).toBe('the cause');
  });

  test('keeps the message around a cause that has none, or else says its code', () => {
    expect(innermostError(new Error('outer', { cause: new Error('') })).message).toBe('outer');
    expect(innermostError(Object.assign(new Error(''), { code: 'EPIPE' }))).toEqual({
      name: 'Error',
      message: 'EPIPE',
      code: 'EPIPE',
    });
    expect(innermostError(new TypeError(''))).toEqual({ name: 'TypeError', message: 'no message', code: undefined });
  });

  test.each([undefined, null, 'a thrown text', 42, { message: 'alike' }])(
    'that is none, %j, says nothing',
    (thrown) => {
      expect(innermostError(thrown)).toEqual({ name: 'Error', message: 'no message', code: undefined });
    },
  );

  test('may have any value in any place', () => {
    const odd = Object.assign(new Error('well'), { code: 7, name: Symbol('name'), message: { toString: null } });
    expect(innermostError(odd)).toEqual({ name: 'Error', message: 'no message', code: undefined });
    expect(redactError(odd, [KEY]).message).toBe('no message');
  });

  test('is followed down to the eighth, and a circle of causes ends there', () => {
    const chain = (length: number): Error =>
      length === 1 ? new Error('the last') : new Error(`${length} from the end`, { cause: chain(length - 1) });
    expect(innermostError(chain(8)).message).toBe('the last');
    expect(innermostError(chain(9)).message).toBe('2 from the end');
    const circle = new Error('round');
    circle.cause = circle;
    expect(innermostError(circle).message).toBe('round');
  });
});

suite('a cause that may be shown', () => {
  test('is a new error, of name, code and message only, without secrets', () => {
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

  test('has no code where there was none', () => {
    const safe = redactError(new TypeError('plain'), [KEY]);
    expect(safe.name).toBe('TypeError');
    expect('code' in safe).toBe(false);
  });
});

suite('what is made safe to share', () => {
  test('has lists searched item by item, and what has no text left alone', () => {
    const words = Array<string>(KEY.length).fill('harmless');
    const tree = { list: [KEY, ...words], none: null, count: 7 };
    expect(sanitize(tree, [KEY])).toEqual({ list: ['[redacted]', ...words], none: null, count: 7 });
  });

  test('is the same tree, frozen to its last leaf', () => {
    const leaf = { c: 1 };
    const tree = { a: [leaf, [2]], b: { leaf } };
    expect(sanitize(tree, [])).toBe(tree);
    expect([tree, tree.a, tree.a[1], tree.b, leaf].every((part) => Object.isFrozen(part))).toBe(true);
    expect(tree).toEqual({ a: [{ c: 1 }, [2]], b: { leaf: { c: 1 } } });
  });

  test('has secrets blotted out of values, and fields dropped that are named by one', () => {
    const tree = { echo: KEY, deep: [`Bearer ${KEY}`, 'harmless'], [KEY]: 1, [`x-${KEY}`]: { y: 1 }, kept: 2 };
    expect(sanitize(tree, [KEY])).toEqual({ echo: '[redacted]', deep: ['[redacted]', 'harmless'], kept: 2 });
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

  test('may go round in a circle', () => {
    const circle: Record<string, unknown> = { name: 'round' };
    circle['self'] = circle;
    circle['other'] = { back: circle };
    expect(Object.isFrozen(sanitize(circle, []))).toBe(true);
  });

  test('leaves alone what is no plain object: it could not be frozen, or would be broken by it', () => {
    const date = new Date(0);
    const bytes = new Uint8Array(2);
    const bare = Object.assign(Object.create(null) as object, { deep: { x: 1 } });
    const tree = sanitize({ date, bytes, bare, nothing: null, unset: undefined, text: 't' }, []);
    expect(Object.isFrozen(date)).toBe(false);
    expect(Object.isFrozen(bytes)).toBe(false);
    expect(Object.isFrozen(bare) && Object.isFrozen(bare.deep)).toBe(true);
    expect(tree).toMatchObject({ nothing: null, unset: undefined, text: 't' });
  });
});
