import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import * as z from 'zod';

import { InvalidOptionsError, type KeyVerifierOptions } from 'keyverify';

import { resolveOptions } from '../../src/options/resolve.js';
import { FakeClock } from '../helpers/clock.js';

const URL_AND_TOKEN = { verifyUrl: 'https://admin.test/verify', serviceToken: 'token-1' };
const LONGEST = 2_147_483_647;

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

const resolve = (options: KeyVerifierOptions<boolean> = {}) => resolveOptions({ ...URL_AND_TOKEN, ...options });

/** What is held against these options. */
function issues(options: object, base: object = URL_AND_TOKEN): unknown {
  try {
    resolveOptions({ ...base, ...options });
  } catch (error) {
    return error instanceof InvalidOptionsError ? error.issues : error;
  }
  return [];
}

describe('the defaults', () => {
  test('are what the design says', () => {
    const { readClaims, clock, random, logger, ...settings } = resolve();
    expect(settings).toMatchObject({
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
      breaker: { failureThreshold: 5, openMs: 1_000, maxOpenMs: 30_000 },
      failOpen: false,
      keyFormat: undefined,
      transport: undefined,
      onVerdict: undefined,
      onFailure: undefined,
      onStale: undefined,
      onFailOpen: undefined,
      onBreakerChange: undefined,
    });
    expect(readClaims({ a: 1 })).toEqual({ claims: { a: 1 } });
    expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(1_000);
    expect(random).toBe(Math.random);
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    onTestFinished(() => warn.mockRestore());
    logger.warn('to the console');
    expect(warn).toHaveBeenCalledExactlyOnceWith('to the console');
  });

  test('fill in what a breaker leaves out', () => {
    expect(resolve({ breaker: {} }).breaker).toEqual({ failureThreshold: 5, openMs: 1_000, maxOpenMs: 30_000 });
    expect(resolve({ breaker: { openMs: 7 } }).breaker).toEqual({ failureThreshold: 5, openMs: 7, maxOpenMs: 30_000 });
    expect(resolve({ breaker: false }).breaker).toBe(false);
  });

  test('stand in for what is undefined', () => {
    expect(resolve({ cacheTtlMs: undefined, failOpen: undefined, breaker: undefined })).toMatchObject({
      cacheTtlMs: 300_000,
      failOpen: false,
    });
  });
});

describe('the settings', () => {
  test('are what was given, frozen', () => {
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
      logger: { warn: () => undefined },
      clock: new FakeClock(),
      random: () => 0.5,
      transport: { send: () => ({ response: new Promise<never>(() => undefined), abort: () => undefined }) },
      onVerdict: () => undefined,
      onFailure: () => undefined,
      onStale: () => undefined,
      onFailOpen: () => undefined,
      onBreakerChange: () => undefined,
    };
    const settings = resolve(given);
    for (const [name, value] of Object.entries(given))
      if (name === 'breaker') expect(settings.breaker).toEqual(value);
      else expect(Reflect.get(settings, name), name).toBe(value);
    expect(Object.isFrozen(settings)).toBe(true);
  });

  test('take a URL as text or as an object', () => {
    expect(resolve({ verifyUrl: new URL('https://admin.test/v?a=b') }).verifyUrl).toBe('https://admin.test/v?a=b');
  });

  test('take a token function as it is', () => {
    const serviceToken = async () => await Promise.resolve('t-1');
    expect(resolve({ serviceToken }).serviceToken).toBe(serviceToken);
  });

  test('read claims by the schema, also where that is a function', async () => {
    const schema = z.object({ plan: z.string() });
    expect(await resolve({ claims: schema }).readClaims({ plan: 7 })).toEqual({ wrong: 'plan' });
    const callable = Object.assign(() => undefined, { '~standard': schema['~standard'] });
    expect(await resolve({ claims: callable }).readClaims({ plan: 7 })).toEqual({ wrong: 'plan' });
  });

  test("ask by the caller's own fetch", async () => {
    const asked: string[] = [];
    const { transport } = resolve({
      fetch: (url) => {
        asked.push(url);
        return Promise.resolve(new Response('{}'));
      },
    });
    await transport?.send({ url: 'https://a.test', method: 'POST', headers: {}, body: '' }).response;
    expect(asked).toEqual(['https://a.test']);
  });

  test("ask through the caller's own dispatcher", () => {
    const asked: unknown[] = [];
    const { transport } = resolve({ dispatcher: { dispatch: ({ origin, path }) => asked.push(origin + path) > 0 } });
    transport?.send({ url: 'https://a.test', method: 'POST', headers: {}, body: '' });
    expect(asked).toEqual(['https://admin.test/verify']);
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

  test('says nothing by variables that are set to nothing', () => {
    for (const name of ['URL', 'SERVICE_TOKEN', 'SCOPE']) vi.stubEnv(`KEYVERIFY_${name}`, '');
    expect(resolve().scope).toBeUndefined();
    expect(issues({}, {})).toEqual([
      'verifyUrl: expected an absolute http(s) URL, got nothing; pass it, or set KEYVERIFY_URL',
      'serviceToken: expected visible characters without a line break, or a function that gives them, got nothing; pass it, or set KEYVERIFY_SERVICE_TOKEN',
    ]);
  });
});

describe('a wrong option is named, with what was expected and what came:', () => {
  const DURATION = 'a positive number of milliseconds';
  const TIMER = 'a positive number of milliseconds, up to 2 147 483 647';
  const COUNT = 'a positive whole number';
  const TOKEN = 'visible characters without a line break, or a function that gives them';
  const FLAG = 'true or false';
  const FUNCTION = 'a function';
  const COUNTS = [0, -1, 1.5, -1.5, NaN, Infinity];
  const AN_OBJECT = 'a value of type object';

  test.each<[string, string, readonly unknown[]]>([
    ['cacheTtlMs', DURATION, [0, -1, NaN, Infinity]],
    ['rejectedTtlMs', DURATION, [0, -1, NaN, Infinity]],
    ['staleIfErrorMs', 'a number of milliseconds, 0 or more', [-1, -0.5, NaN, Infinity]],
    ['refreshAheadRatio', 'a number above 0, up to 1', [0, -1, 1.01, NaN]],
    ['maxEntries', COUNT, COUNTS],
    ['maxRejectedEntries', COUNT, COUNTS],
    ['timeoutMs', TIMER, [0, -1, NaN, Infinity, LONGEST + 1]],
    ['retries', 'a whole number, 0 or more', [-1, 0.5, NaN, Infinity]],
    ['maxConcurrency', COUNT, COUNTS],
  ])('%s wants %s', (name, expected, numbers) => {
    for (const number of numbers)
      expect(issues({ [name]: number })).toEqual([`${name}: expected ${expected}, got ${String(number)}`]);
    expect(issues({ [name]: '5' })).toEqual([`${name}: expected ${expected}, got a string of 1 characters`]);
    expect(issues({ [name]: null })).toEqual([`${name}: expected ${expected}, got null`]);
    expect(issues({ [name]: [1] })).toEqual([`${name}: expected ${expected}, got an array`]);
  });

  test.each<[string, string, unknown, string]>([
    ['serviceToken', TOKEN, 12_345_678, 'a number'],
    ['scope', 'a string that is not empty', 7, '7'],
    ['failOpen', FLAG, 'yes', 'a string of 3 characters'],
    ['allowInsecureHttp', FLAG, 1, '1'],
    ['dangerouslyAllowBrowser', FLAG, 'true', 'a string of 4 characters'],
    ['keyFormat', 'a RegExp without the flags g and y', '^sk', 'a string of 3 characters'],
    ['claims', 'a Standard Schema', {}, AN_OBJECT],
    ['fetch', FUNCTION, {}, AN_OBJECT],
    ['dispatcher', 'an undici dispatcher', {}, AN_OBJECT],
    ['transport', 'an object with send()', {}, AN_OBJECT],
    ['logger', 'an object with warn()', {}, AN_OBJECT],
    ['clock', 'an object with wall(), monotonic() and after()', {}, AN_OBJECT],
    ['random', FUNCTION, 0.5, '0.5'],
    ['onVerdict', FUNCTION, {}, AN_OBJECT],
    ['onFailure', FUNCTION, {}, AN_OBJECT],
    ['onStale', FUNCTION, {}, AN_OBJECT],
    ['onFailOpen', FUNCTION, {}, AN_OBJECT],
    ['onBreakerChange', FUNCTION, {}, AN_OBJECT],
    ['breaker', 'false, or an object of failureThreshold, openMs, maxOpenMs', true, 'true'],
    ['breaker', 'false, or an object of failureThreshold, openMs, maxOpenMs', [1], 'an array'],
    ['breaker', 'false, or an object of failureThreshold, openMs, maxOpenMs', null, 'null'],
  ])('%s wants %s', (name, expected, wrong, shown) => {
    expect(issues({ [name]: wrong })).toEqual([`${name}: expected ${expected}, got ${shown}`]);
    expect(issues({ [name]: Symbol('s') })).toEqual([`${name}: expected ${expected}, got a value of type symbol`]);
  });

  test('a token that would break the header, without quoting it', () => {
    for (const token of ['a\r\nx: y', ' padded', 'päss'])
      expect(issues({ serviceToken: token })).toEqual([
        `serviceToken: expected ${TOKEN}, got a string of ${token.length} characters`,
      ]);
    expect(issues({ serviceToken: '' })).toEqual([`serviceToken: expected ${TOKEN}, got an empty string`]);
  });

  test('an empty scope', () => {
    expect(issues({ scope: '' })).toEqual(['scope: expected a string that is not empty, got an empty string']);
    expect(issues({ scope: /x/ })).toEqual(['scope: expected a string that is not empty, got a RegExp']);
  });

  test('a key format that would remember where it was', () => {
    const expected = 'keyFormat: expected a RegExp without the flags g and y, got one with the flags';
    expect(issues({ keyFormat: /a/g })).toEqual([`${expected} g`]);
    expect(issues({ keyFormat: /a/y })).toEqual([`${expected} y`]);
    expect(issues({ keyFormat: /a/iu })).toEqual([]);
  });

  test('a schema that is none, in every way', () => {
    const expected = 'claims: expected a Standard Schema, got ';
    for (const claims of [{}, { '~standard': {} }, { '~standard': { validate: 1 } }, { '~standard': null }])
      expect(issues({ claims })).toEqual([`${expected}a value of type object`]);
    expect(issues({ claims: () => undefined })).toEqual([`${expected}a value of type function`]);
    expect(issues({ claims: null })).toEqual([`${expected}null`]);
  });

  test('methods that are missing, or are no functions', () => {
    for (const logger of [{}, { warn: 1 }, () => undefined]) expect(issues({ logger })).toHaveLength(1);
    const [wall, monotonic, after] = [() => 0, () => 0, () => () => undefined];
    for (const clock of [
      { wall, monotonic },
      { wall, after },
      { monotonic, after },
      { wall, monotonic, after: 1 },
    ])
      expect(issues({ clock })).toHaveLength(1);
    expect(issues({ clock: { wall, monotonic, after } })).toEqual([]);
  });

  test('a breaker, part by part', () => {
    expect(issues({ breaker: { failureThreshold: 0, openMs: -1, maxOpenMs: LONGEST + 1 } })).toEqual([
      `breaker.failureThreshold: expected ${COUNT}, got 0`,
      `breaker.openMs: expected ${TIMER}, got -1`,
      `breaker.maxOpenMs: expected ${TIMER}, got 2147483648`,
    ]);
    expect(issues({ breaker: { openMS: 5 } })).toEqual([
      'breaker.openMS: there is no such option, did you mean openMs?',
    ]);
    expect(issues({ breaker: { timeoutMs: 5 } })).toEqual(['breaker.timeoutMs: there is no such option']);
  });

  test('more than one way to ask', () => {
    const fetch = () => Promise.resolve(new Response());
    const dispatcher = { dispatch: () => true };
    const transport = { send: () => undefined };
    const expected = ['fetch, dispatcher, transport: expected one of them at the most'];
    for (const ways of [
      { fetch, dispatcher },
      { fetch, transport },
      { dispatcher, transport },
    ])
      expect(issues(ways)).toEqual(expected);
    for (const way of [{ fetch }, { dispatcher }, { transport }]) expect(issues(way)).toEqual([]);
  });
});

describe('an option that there is not', () => {
  test.each([
    ['cacheTTL', 'cacheTtlMs'],
    ['cachettlms', 'cacheTtlMs'],
    ['fail_open', 'failOpen'],
    ['serviceTokn', 'serviceToken'],
    ['onVerdicts', 'onVerdict'],
    ['retriesxxx', 'retries'],
  ])('such as %s is taken for a typo of %s', (typo, meant) => {
    expect(issues({ [typo]: 1 })).toEqual([`${typo}: there is no such option, did you mean ${meant}?`]);
  });

  test.each(['colourful', 'retriesxxxx', 'timeToLiveInSeconds'])('such as %s is not guessed at from afar', (name) => {
    expect(issues({ [name]: 'secret-value' })).toEqual([`${name}: there is no such option`]);
  });
});

describe('mistakes', () => {
  test('are told all at once, the URL first', () => {
    expect(issues({ verifyUrl: 'nowhere', serviceToken: '', retries: -1, retry: 1 })).toEqual([
      'verifyUrl: expected an absolute http(s) URL',
      expect.stringMatching(/^serviceToken: /),
      expect.stringMatching(/^retries: /),
      'retry: there is no such option, did you mean retries?',
    ]);
  });
});

describe('the URL of the key server', () => {
  const BAD_HTTP =
    'verifyUrl: expected https: for another machine, http: would show every key; allowInsecureHttp: true allows it';

  test.each([
    'https://admin.test/verify',
    'http://localhost:1',
    'http://api.localhost/v',
    'http://127.0.0.1:8080/v',
    'http://127.255.0.12',
    'http://[::1]:1/v',
    'HTTP://LOCALHOST',
  ])('may be %s', (verifyUrl) => {
    expect(issues({ verifyUrl })).toEqual([]);
  });

  test.each([
    'http://admin.test/v',
    'http://localhost.test',
    'http://notlocalhost',
    'http://128.0.0.1',
    'http://127.0.0.1.test',
    'http://a127.0.0.1.test',
    'http://[::2]',
    'http://.localhost.x',
  ])('may not be http: to another machine, such as %s, unless that is allowed', (verifyUrl) => {
    expect(issues({ verifyUrl })).toEqual([BAD_HTTP]);
    expect(issues({ verifyUrl, allowInsecureHttp: false })).toEqual([BAD_HTTP]);
    expect(issues({ verifyUrl, allowInsecureHttp: true })).toEqual([]);
  });

  test.each(['', '/internal/verify-key', 'admin.test/verify', 'https://', 7, {}, null])(
    'is no URL: %j',
    (verifyUrl) => {
      if (verifyUrl === null || verifyUrl === '') vi.stubEnv('KEYVERIFY_URL', '');
      const expected =
        verifyUrl === null ? /^verifyUrl: .* got nothing/ : /^verifyUrl: expected an absolute http\(s\) URL$/;
      expect(issues({ verifyUrl })).toEqual([expect.stringMatching(expected)]);
    },
  );

  test.each([
    ['ftp://admin.test', 'expected https: (or http:), got ftp:'],
    ['localhost:8080', 'expected https: (or http:), got localhost:'],
    ['https://user@admin.test', 'expected no credentials in it, they belong into serviceToken'],
    ['https://:password@admin.test', 'expected no credentials in it, they belong into serviceToken'],
    ['https://admin.test/v#part', 'expected no fragment in it'],
  ])('is wrong: %s', (verifyUrl, mistake) => {
    expect(issues({ verifyUrl })).toEqual([`verifyUrl: ${mistake}`]);
  });

  test('is wrong as an object, too, and its password is not told', () => {
    const told = String(issues({ verifyUrl: new URL('https://user:hunter2@admin.test') }));
    expect(told).toContain('credentials');
    expect(told).not.toContain('hunter2');
  });
});

describe('a browser window', () => {
  const REFUSED =
    'refused in a browser window, where everybody can read serviceToken; dangerouslyAllowBrowser: true allows it';

  test('is no place for a service token, unless that is wanted with open eyes', () => {
    vi.stubGlobal('window', {});
    vi.stubGlobal('document', {});
    expect(issues({})).toEqual([REFUSED]);
    expect(issues({ dangerouslyAllowBrowser: false })).toEqual([REFUSED]);
    expect(issues({ dangerouslyAllowBrowser: true })).toEqual([]);
  });

  test('is not taken for one where there is only half of it', () => {
    for (const name of ['window', 'document']) {
      vi.stubGlobal(name, {});
      onTestFinished(() => void vi.unstubAllGlobals());
      expect(issues({})).toEqual([]);
      vi.unstubAllGlobals();
    }
  });
});
