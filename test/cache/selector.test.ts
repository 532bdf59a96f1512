import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { InvalidOptionsError, type Selector } from 'keyverify';

import { parseSelector } from '../../src/cache/selector.js';

const FINGERPRINT = createHash('sha256').update('sk-1').digest('hex');
/** As it is kept inside. */
const BYTES = createHash('sha256').update('sk-1').digest('binary');
const ONE_OF = 'invalidate: expected one of key, fingerprint, keyId, client, tenant, with a string';

const issues = (selector: unknown): unknown => {
  try {
    parseSelector(selector as Selector);
  } catch (error) {
    return error instanceof InvalidOptionsError ? error.issues : error;
  }
  return 'nothing was thrown';
};

describe('a selector', () => {
  test('lets go of the key, and keeps its fingerprint', () => {
    expect(parseSelector({ key: 'sk-1' })).toEqual({ fingerprint: BYTES });
    expect(parseSelector({ fingerprint: FINGERPRINT })).toEqual({ fingerprint: BYTES });
  });

  test.each([{ keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])(
    'is otherwise kept as it was: %o',
    (selector) => {
      expect(parseSelector(selector)).toEqual(selector);
    },
  );

  test('is kept as it was at that moment, whatever becomes of the object', () => {
    const selector = { tenant: 'cust-A' };
    const kept = parseSelector(selector);
    selector.tenant = 'cust-B';
    expect(kept).toEqual({ tenant: 'cust-A' });
  });

  test.each([
    {},
    { key: '' },
    { tenant: 7 },
    { client: undefined },
    { keyId: null },
    { user: 'x' },
    { keyId: 'k-1', client: 'acme' },
  ])('names one thing, by a string: %o does not', (selector) => {
    expect(issues(selector)).toEqual([ONE_OF]);
  });

  test.each([
    'abc',
    FINGERPRINT.toUpperCase(),
    `${FINGERPRINT}0`,
    FINGERPRINT.slice(1),
    `\n${FINGERPRINT}`,
    'g'.repeat(64),
  ])('by fingerprint wants a SHA-256, not %j', (fingerprint) => {
    expect(issues({ fingerprint })).toEqual([
      'invalidate: fingerprint: expected a SHA-256 as 64 small hexadecimal digits',
    ]);
  });
});
