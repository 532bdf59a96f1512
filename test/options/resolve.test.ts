import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import * as z from 'zod';

import {
  InvalidOptionsError,
  KeyVerifier,
  type Dispatcher,
  type KeyVerifierOptions,
  type WireProtocol,
  type WireRequest,
} from 'keyverify';

import { randomControlKey } from '../../src/core/control-key.js';
import { resolveOptions } from '../../src/options/resolve.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import { memoryFleet, testClock } from 'keyverify/testing';
import { ask } from '../helpers/http.js';
import { issues, URL_AND_TOKEN } from '../helpers/options.js';

const LONGEST = 2_147_483_647;

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

const resolve = (options: KeyVerifierOptions<boolean> = {}) => resolveOptions({ ...URL_AND_TOKEN, ...options });

describe('the defaults', () => {
  test('of a process that shares verdicts refresh earlier, so that the others hear of it in time', () => {
    const { sharedCache } = memoryFleet();
    expect(resolve({ sharedCache }).refreshAheadRatio).toBe(0.75);
    expect(resolve({ sharedCache, refreshAheadRatio: 0.9 }).refreshAheadRatio).toBe(0.9);
  });

  test('are those of the documentation', () => {
    const { readClaims, clock, random, logger, ...rest } = resolve();
    expect(rest).toMatchObject({
      ...URL_AND_TOKEN,
      scope: undefined,
      cacheTtlMs: 300_000,
      rejectedTtlMs: 10_000,
      staleIfErrorMs: 3_600_000,
      refreshAheadRatio: 0.9,
      maxEntries: 50_000,
      maxRejectedEntries: 10_000,
      timeoutMs: 2_000,
      retries: 1,
      maxConcurrency: 64,
      breaker: { failureThreshold: 5, openMs: 1_000, maxOpenMs: 5_000 },
      failOpen: false,
      keyFormat: undefined,
      transport: undefined,
      observers: [],
      protocol: defaultProtocol,
      controlKey: randomControlKey,
    });
    expect(readClaims({ a: 1 })).toEqual({ claims: { a: 1 } });
    expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(1_000);
    expect(random).toBe(Math.random);
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    onTestFinished(() => warn.mockRestore());
    if (logger !== false) logger.warn('to the console');
    expect(warn).toHaveBeenCalledExactlyOnceWith('to the console');
  });

  test('fill in what a breaker leaves out', () => {
    expect(resolve({ breaker: {} }).breaker).toEqual({ failureThreshold: 5, openMs: 1_000, maxOpenMs: 5_000 });
    expect(resolve({ breaker: { openMs: 7 } }).breaker).toEqual({ failureThreshold: 5, openMs: 7, maxOpenMs: 5_000 });
    expect(resolve({ breaker: false }).breaker).toBe(false);
  });

  test('stand in for undefined', () => {
    const options = { cacheTtlMs: undefined, failOpen: undefined, breaker: undefined, observers: undefined };
    expect(resolve(options)).toMatchObject({ cacheTtlMs: 300_000, failOpen: false, observers: [] });
  });
});

describe('the options', () => {
  test('are kept as they are, frozen', () => {
    const given = {
      scope: 'cust-A',
      cacheTtlMs: 0.5,
      rejectedTtlMs: 2,
      staleIfErrorMs: 0,
      refreshAheadRatio: 1,
      maxEntries: 1,
      maxRejectedEntries: 2,
      timeoutMs: LONGEST,
      retries: 0,
      maxConcurrency: 1,
      breaker: { failureThreshold: 1, openMs: 2, maxOpenMs: LONGEST },
      failOpen: true,
      keyFormat: /^sk-/i,
      controlKey: () => `sk-${Math.random()}`,
      protocol: {
        scope: 'sent' as const,
        encode: vi.fn<WireProtocol['encode']>(),
        decode: vi.fn<WireProtocol['decode']>(),
      },
      observers: [{ onVerdict: () => undefined }, {}],
      logger: { warn: () => undefined },
      clock: testClock(),
      random: () => 0.5,
      transport: { send: () => ({ response: new Promise<never>(() => undefined), abort: () => undefined }) },
    };
    const resolved = resolve(given);
    for (const [name, value] of Object.entries(given))
      if (name === 'breaker') expect(resolved.breaker).toEqual(value);
      else expect(Reflect.get(resolved, name), name).toBe(value);
    expect(Object.isFrozen(resolved)).toBe(true);
  });

  test('may have a URL as text or as an object', () => {
    expect(resolve({ verifyUrl: new URL('https://admin.test/v?a=b') }).verifyUrl).toBe('https://admin.test/v?a=b');
  });

  test('may have functions for the token and the key format', () => {
    const serviceToken = async () => await Promise.resolve('t-1');
    const keyFormat = (key: string) => key.startsWith('sk-');
    expect(resolve({ serviceToken, keyFormat })).toMatchObject({ serviceToken, keyFormat });
  });

  test('read claims by the schema, also where that is a function', async () => {
    const schema = z.object({ plan: z.string() });
    expect(await resolve({ claims: schema }).readClaims({ plan: 7 })).toEqual({ wrong: 'plan (number)' });
    const callable = Object.assign(() => undefined, { '~standard': schema['~standard'] });
    expect(await resolve({ claims: callable }).readClaims({ plan: 7 })).toEqual({ wrong: 'plan (number)' });
  });
});

describe('requests are sent', () => {
  const REQUEST: WireRequest = ask('https://admin.test/verify');

  test("by the caller's own fetch", async () => {
    const asked: string[] = [];
    const fetch = (url: string) => {
      asked.push(url);
      return Promise.resolve(new Response('{}'));
    };
    await resolve({ fetch }).transport?.send(REQUEST).response;
    expect(asked).toEqual([REQUEST.url]);
  });

  test.each(['a dispatcher', 'a function that returns one'])("through the caller's own dispatcher, as %s", (how) => {
    const asked: unknown[] = [];
    const dispatcher: Dispatcher = { dispatch: ({ origin, path }) => asked.push([origin, path]) > 0 };
    resolve({ dispatcher: how === 'a dispatcher' ? dispatcher : () => dispatcher }).transport?.send(REQUEST);
    expect(asked).toEqual([['https://admin.test', '/verify']]);
  });
});

describe('the environment', () => {
  test('stands in for URL, token and scope', () => {
    vi.stubEnv('KEYVERIFY_URL', 'https://env.test/verify');
    vi.stubEnv('KEYVERIFY_SERVICE_TOKEN', 'env-token');
    vi.stubEnv('KEYVERIFY_SCOPE', 'env-scope');
    const fromEnv = { verifyUrl: 'https://env.test/verify', serviceToken: 'env-token', scope: 'env-scope' };
    expect(resolveOptions({})).toMatchObject(fromEnv);
    expect(resolve({ scope: 'own' })).toMatchObject({ ...URL_AND_TOKEN, scope: 'own' });
  });

  test('counts an empty variable as not set', () => {
    for (const name of ['URL', 'SERVICE_TOKEN']) vi.stubEnv(`KEYVERIFY_${name}`, '');
    expect(issues({}, {})).toEqual([
      'verifyUrl (KEYVERIFY_URL): expected a URL with https:// or http://, such as https://keys.example.com/verify, got an empty string; pass it, or set KEYVERIFY_URL',
      'serviceToken (KEYVERIFY_SERVICE_TOKEN): expected printable ASCII, or a function that returns it, got an empty string',
    ]);
  });

  test('counts an empty scope as wrong: without one, keys of every scope are verified', () => {
    vi.stubEnv('KEYVERIFY_SCOPE', '');
    expect(issues({})).toEqual([
      'scope (KEYVERIFY_SCOPE): expected a string that is not empty, without line breaks or surrounding blanks, got an empty string',
    ]);
    expect(resolve({ scope: 'own' }).scope).toBe('own');
  });
});

test('a wrong value from the environment is shown with its variable', () => {
  vi.stubEnv('KEYVERIFY_URL', 'nowhere');
  vi.stubEnv('KEYVERIFY_SERVICE_TOKEN', 'a-secret-token\n');
  vi.stubEnv('KEYVERIFY_SCOPE', 'cust-A');
  const protocol = { encode: vi.fn<WireProtocol['encode']>(), decode: vi.fn<WireProtocol['decode']>() };
  expect(issues({ protocol }, {})).toEqual([
    'verifyUrl (KEYVERIFY_URL): expected a URL with https:// or http://, such as https://keys.example.com/verify',
    'serviceToken (KEYVERIFY_SERVICE_TOKEN): expected printable ASCII, or a function that returns it, got a string of 15 characters, with a line break',
    'scope (KEYVERIFY_SCOPE): expected none, since this protocol does not use it',
  ]);
  expect(issues({ verifyUrl: '', serviceToken: '', scope: '' })).toEqual([
    'verifyUrl: expected a URL with https:// or http://, such as https://keys.example.com/verify, got an empty string; pass it, or set KEYVERIFY_URL',
    expect.stringMatching(/^serviceToken: expected /),
    expect.stringMatching(/^scope: expected /),
  ]);
  expect(issues({ protocol: { ...protocol, serviceToken: ' ', scope: 'sent' } }, URL_AND_TOKEN)).toEqual([
    expect.stringMatching(/^serviceToken: expected printable /),
    expect.stringMatching(/^serviceToken: expected none/),
  ]);
});

test.each([
  [null, 'null'],
  ['https://admin.test/verify', 'a string of 25 characters'],
  [[], 'an empty array'],
  [[1], 'an array'],
  [() => undefined, 'a function'],
])('options that are none are one mistake: %s', (given, shown) => {
  const build = () => new KeyVerifier(given as KeyVerifierOptions);
  expect(build).toThrow(new InvalidOptionsError([`options: expected an object, got ${shown}`]));
});

describe('a browser window', () => {
  const REFUSED = 'refused in a browser, where anyone can read serviceToken; or pass dangerouslyAllowBrowser: true';

  test('is refused, unless that is allowed', () => {
    vi.stubGlobal('window', {});
    vi.stubGlobal('document', {});
    expect(issues({})).toEqual([REFUSED]);
    expect(issues({ dangerouslyAllowBrowser: false })).toEqual([REFUSED]);
    expect(issues({ dangerouslyAllowBrowser: true })).toEqual([]);
  });

  test.each(['window', 'document'])('has both a window and a document, not just a %s', (name) => {
    vi.stubGlobal(name, {});
    expect(issues({})).toEqual([]);
  });
});
