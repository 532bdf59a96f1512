import { describe, expect, test, vi } from 'vitest';

import { parse } from '../../src/core/schema.js';
import { cryptoOfRuntime, webCrypto, type SealingCrypto } from '../../src/fleet/crypto.js';
import { Sealer, sealers, secretsOption } from '../../src/fleet/seal.js';

const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const KEY = { fingerprint: 'ab'.repeat(32), namespace: 'n' };
const DAY = 86_400_000;
const native = cryptoOfRuntime();
const isRight = (secret: unknown): boolean => parse(secretsOption(secret), secret).success;

describe('sealing', () => {
  test('is the same by node:crypto and by WebCrypto', async () => {
    const [a, b] = [new Sealer(SECRET, native), new Sealer(SECRET, webCrypto)];
    expect(native).not.toBe(webCrypto);
    expect(await a.idOf(KEY)).toBe(await b.idOf(KEY));
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const)
      expect((await other.open(await one.seal('{"a":"ü"}', 'c', 5), 'c', 5))?.trimEnd()).toBe('{"a":"ü"}');
  });

  test('uses WebCrypto where there is no node:crypto', () => {
    vi.stubGlobal('process', undefined);
    try {
      expect(cryptoOfRuntime()).toBe(webCrypto);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test.each([
    ['node:crypto', native],
    ['WebCrypto', webCrypto],
  ])('opens only what was sealed with it, for this context and day: %s', async (_, crypto) => {
    const sealer = new Sealer(SECRET, crypto);
    const sealed = await sealer.seal('"x"', 'c', 5);
    const flip = (at: number): string => sealed.slice(0, at) + (sealed[at] === 'A' ? 'Q' : 'A') + sealed.slice(at + 1);
    expect(await sealer.open(sealed, 'c', 5)).toBeDefined();
    const others = [
      sealer.open(sealed, 'd', 5),
      sealer.open(sealed, 'c', 5 + DAY),
      new Sealer(`${SECRET}!`, crypto).open(sealed, 'c', 5),
      sealer.open(sealed.slice(0, -4), 'c', 5),
      sealer.open('', 'c', 5),
      sealer.open('AAAA', 'c', 5),
      sealer.open('no base64?', 'c', 5),
      ...Array.from({ length: sealed.length }, async (__, at) => await sealer.open(flip(at), 'c', 5)),
    ];
    for (const other of others) expect(await other).toBeUndefined();
  });

  test('tells lengths only in steps, and never seals alike', async () => {
    const sealer = new Sealer(SECRET, native);
    const lengths = await Promise.all([1, 250].map(async (n) => (await sealer.seal('x'.repeat(n), 'c', 5)).length));
    expect(lengths[0]).toBe(lengths[1]);
    expect(await sealer.seal('x', 'c', 5)).not.toBe(await sealer.seal('x', 'c', 5));
  });

  test('keeps few keys, whatever days are asked for', async () => {
    const derive = vi.fn<SealingCrypto['derive']>((...all) => native.derive(...all));
    const sealer = new Sealer(SECRET, { ...native, derive });
    for (let day = 0; day < 20; day++) await sealer.open('AAAA', 'c', day * DAY);
    await sealer.open('AAAA', 'c', 19 * DAY);
    expect(derive).toHaveBeenCalledTimes(20);
    await sealer.open('AAAA', 'c', 0);
    expect(derive).toHaveBeenCalledTimes(21);
  });

  test('names differ by key, by namespace and by secret', async () => {
    const sealer = new Sealer(SECRET, native);
    const ids = await Promise.all([
      sealer.idOf(KEY),
      sealer.idOf({ ...KEY, namespace: 'm' }),
      sealer.idOf({ ...KEY, fingerprint: 'cd'.repeat(32) }),
      new Sealer(`${SECRET}!`, native).idOf(KEY),
    ]);
    expect(new Set(ids).size).toBe(4);
    expect(ids.join('')).not.toContain(KEY.fingerprint);
  });
});

test.each([undefined, '', 'short', [], [SECRET, 'short'], [SECRET, 7], 7])('a secret is refused: %j', (secret) => {
  expect(isRight(secret)).toBe(false);
});

test('a secret may be one text or a list', () => {
  expect([SECRET, [SECRET], [SECRET, SECRET]].map(isRight)).toEqual([true, true, true]);
  expect(sealers(SECRET)).toHaveLength(1);
  expect(sealers([SECRET, `${SECRET}!`])).toHaveLength(2);
});
