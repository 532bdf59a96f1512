import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { toHex } from '../../src/core/fingerprint.js';
import * as isolate from '../../src/platform/isolate.js';
import type { Platform } from '../../src/platform/platform.js';
import * as server from '../../src/platform/server.js';
import * as web from '../../src/platform/web.js';

const PLATFORMS: readonly (readonly [string, Platform])[] = [
  ['server', server],
  ['web', web],
  ['isolate', isolate],
];

/** Anything that UTF-8 can say: every code point but the halves of surrogate pairs. */
const CODE_POINT = fc
  .integer({ min: 0, max: 0x10f7ff })
  .map((at) => String.fromCodePoint(at < 0xd800 ? at : at + 0x800));
const TEXT = fc.array(CODE_POINT, { maxLength: 200 }).map((points) => points.join(''));

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

describe.each(PLATFORMS)('the platform %s', (_name, platform) => {
  test('hashes as everybody does', () => {
    expect(toHex(platform.sha256(''))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(toHex(platform.sha256('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    fc.assert(
      fc.property(TEXT, (text) => {
        expect(toHex(platform.sha256(text))).toBe(createHash('sha256').update(text).digest('hex'));
      }),
      { numRuns: 200 },
    );
  });

  test('reads the environment', () => {
    vi.stubEnv('KEYVERIFY_TEST', 'here');
    expect(platform.env('KEYVERIFY_TEST')).toBe('here');
    expect(platform.env('KEYVERIFY_NOT_SET')).toBeUndefined();
  });

  test('does without an environment, or without the right to read it', () => {
    for (const absent of [undefined, {}]) {
      vi.stubGlobal('process', absent);
      const value = platform.env('PATH');
      vi.unstubAllGlobals();
      expect(value).toBeUndefined();
    }
    vi.stubGlobal('process', {
      get env() {
        throw new Error('permission denied');
      },
    });
    const value = platform.env('PATH');
    vi.unstubAllGlobals();
    expect(value).toBeUndefined();
  });
});

test('promises are shared between requests everywhere but in an isolate', () => {
  expect(PLATFORMS.map(([name, { sharesPromises }]) => [name, sharesPromises])).toEqual([
    ['server', true],
    ['web', true],
    ['isolate', false],
  ]);
});

test('importing the platform of the web needs no TextEncoder', async () => {
  vi.resetModules();
  vi.stubGlobal('TextEncoder', undefined);
  await expect(import('../../src/platform/web.js')).resolves.toHaveProperty('sha256');
});
