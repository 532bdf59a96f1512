import { createHash } from 'node:crypto';

import { expect, test } from 'vitest';

import { fingerprint } from 'keyverify';

import { fromHex, toHex } from '../../src/core/fingerprint.js';
import { lazy } from '../../src/core/lazy.js';

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');

test('a fingerprint has two lower-case digits for each byte, and the way back', () => {
  expect(toHex(ALL_BYTES)).toBe(Buffer.from(ALL_BYTES, 'latin1').toString('hex'));
  expect(fromHex(toHex(ALL_BYTES))).toBe(ALL_BYTES);
});

test('the public fingerprint of a key is its SHA-256 in hexadecimal digits', () => {
  expect(fingerprint('sk-schlüssel')).toBe(createHash('sha256').update('sk-schlüssel').digest('hex'));
});

test('what is lazy is built once, when it is first asked for', () => {
  let built = 0;
  const get = lazy(() => ({ number: ++built }));
  expect(built).toBe(0);
  expect(get()).toBe(get());
  expect(built).toBe(1);
});
