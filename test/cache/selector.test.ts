import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { InvalidOptionsError, type Selector } from 'keyverify';

import { parseSelector } from '../../src/cache/selector.js';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('binary');
const FINGERPRINT = createHash('sha256').update('sk-1').digest('hex');
const ONE_OF = 'invalidate: expected exactly one of key, fingerprint, keyId, client, tenant, with a string';

const parse = (selector: Selector) => parseSelector(selector, sha256, 'invalidate');

const issues = (selector: unknown): unknown => {
  try {
    parse(selector as Selector);
  } catch (error) {
    return error instanceof InvalidOptionsError ? error.issues : error;
  }
  return 'nothing was thrown';
};

describe('a selector', () => {
  test('keeps the fingerprint in place of the key', () => {
    expect(parse({ key: 'sk-1' })).toEqual({ fingerprint: sha256('sk-1') });
    expect(parse({ fingerprint: FINGERPRINT })).toEqual({ fingerprint: sha256('sk-1') });
  });

  test.each([{ keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])(
    'is otherwise kept as it is: %o',
    (selector) => {
      expect(parse(selector)).toEqual(selector);
    },
  );

  test('does not change with the object that was passed', () => {
    const selector = { tenant: 'cust-A' };
    const kept = parse(selector);
    selector.tenant = 'cust-B';
    expect(kept).toEqual({ tenant: 'cust-A' });
  });

  test.each([
    {},
    { key: '' },
    { tenant: 7 },
    null,
    undefined,
    { client: undefined },
    { keyId: null },
    { user: 'x' },
    { keyId: 'k-1', client: 'acme' },
  ])('needs exactly one known name with a string: %o is refused', (selector) => {
    expect(issues(selector)).toEqual([ONE_OF]);
  });

  test.each([
    [{ tennant: 'x' }, '; tennant: there is no such field, did you mean tenant?'],
    [{ key: 'sk-1', cleint: 'x' }, '; cleint: there is no such field, did you mean client?'],
    ['sk-1', ''],
    [{ 'sk-0123456789': 'x' }, ''],
  ])('names an unknown field that is like a known one: %j', (selector, typo) => {
    expect(issues(selector)).toEqual([ONE_OF + typo]);
  });

  test.each(['Bearer sk-1', 'bearer  sk-1', 'BEARER '])('by key needs the key alone, not %j', (key) => {
    expect(issues({ key })).toEqual(['invalidate: key: leave out "Bearer "']);
  });

  test.each(['Bearer', 'sk Bearer 1', 'Bearersk-1'])('by key may be a key such as %j', (key) => {
    expect(parse({ key })).toEqual({ fingerprint: sha256(key) });
  });

  test.each([
    'abc',
    FINGERPRINT.toUpperCase(),
    `${FINGERPRINT}0`,
    FINGERPRINT.slice(1),
    `\n${FINGERPRINT}`,
    'g'.repeat(64),
  ])('by fingerprint needs a SHA-256, not %j', (fingerprint) => {
    expect(issues({ fingerprint })).toEqual(['invalidate: fingerprint: expected 64 lower-case hexadecimal digits']);
  });
});
