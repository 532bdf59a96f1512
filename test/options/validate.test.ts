import { Agent } from 'undici';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { validateOptions } from '../../src/options/validate.js';
import { issues } from '../helpers/options.js';

const LONGEST = 2_147_483_647;

afterEach(() => {
  vi.unstubAllEnvs();
});

const DURATION = 'a positive number of milliseconds';
const TIMER = 'a positive number of milliseconds, up to 2 147 483 647';
const COUNT = 'a positive whole number, up to 10 000 000';
const TOKEN = 'printable ASCII, or a function that returns it';
const FLAG = 'true or false';
const FUNCTION = 'a function';
const BREAKER = 'false, or an object of failureThreshold, openMs, maxOpenMs';
const OBSERVERS = 'an array of objects';
const SCOPE = 'a string that is not empty, without line breaks or surrounding blanks';
const failing = (): never => {
  throw new Error('no');
};
const KEY_FORMAT = 'a RegExp without the flags g and y, or a function that returns a boolean for any text';
const CONTROL_KEY = 'a function that returns a new key each time';
const COUNTS = [0, -1, 1.5, -1.5, NaN, Infinity, 10_000_001];
const AN_OBJECT = 'an object';

describe('a wrong option is named, with what was expected and what came:', () => {
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
      expect(issues({ [name]: number })).toEqual([
        expect.stringMatching(new RegExp(`^${name}: expected ${expected}, got ${String(number)}(?:;|$)`)),
      ]);
    expect(issues({ [name]: '5' })).toEqual([`${name}: expected ${expected}, got "5"`]);
    expect(issues({ [name]: null })).toEqual([`${name}: expected ${expected}, got null`]);
    expect(issues({ [name]: [1] })).toEqual([`${name}: expected ${expected}, got an array`]);
  });

  test('up to ten million entries, which a cache makes room for at once', () => {
    for (const name of ['maxEntries', 'maxRejectedEntries']) {
      expect(issues({ [name]: 10_000_000 })).toEqual([]);
      expect(issues({ [name]: 1e8 })).toEqual([`${name}: expected ${COUNT}, got 100000000`]);
    }
  });

  test.each<[string, string, unknown, string]>([
    ['serviceToken', TOKEN, 12_345_678, 'a number'],
    ['scope', SCOPE, 7, '7'],
    ['scope', SCOPE, '  ', 'a string of 2 characters, with surrounding blanks'],
    ['scope', SCOPE, 'cust-A ', 'a string of 7 characters, with surrounding blanks'],
    ['scope', SCOPE, 'a\nb', 'a string of 3 characters, with a line break'],
    ['scope', SCOPE, 'a\0', 'a string of 2 characters'],
    ['scope', SCOPE, 'cust-A\n', 'a string of 7 characters, with a line break'],
    ['failOpen', FLAG, 'yes', '"yes"'],
    ['allowInsecureHttp', FLAG, 1, '1'],
    ['dangerouslyAllowBrowser', FLAG, 'true', '"true"'],
    ['keyFormat', KEY_FORMAT, '^sk', 'a string of 3 characters'],
    ['keyFormat', KEY_FORMAT, () => undefined, 'one that does not'],
    ['keyFormat', KEY_FORMAT, failing, 'one that does not'],
    ['keyFormat', KEY_FORMAT, async () => await Promise.resolve(true), 'one that does not'],
    ['controlKey', CONTROL_KEY, 'sk-control', 'a string of 10 characters'],
    ['controlKey', CONTROL_KEY, () => 5, 'one that does not'],
    ['controlKey', CONTROL_KEY, () => ' ', 'one that does not'],
    ['controlKey', CONTROL_KEY, () => 'sk-control', 'one that does not'],
    ['controlKey', CONTROL_KEY, async () => await Promise.resolve('sk-1'), 'one that does not'],
    ['controlKey', CONTROL_KEY, failing, 'one that does not'],
    ['scope', SCOPE, null, 'null'],
    ['claims', 'a Standard Schema', {}, AN_OBJECT],
    ['protocol', 'an object with encode() and decode(), such as workos()', {}, AN_OBJECT],
    ['fetch', FUNCTION, {}, AN_OBJECT],
    ['dispatcher', 'an undici dispatcher, or a function that returns one', {}, AN_OBJECT],
    ['dispatcher', 'an undici dispatcher, or a function that returns one', Agent, 'one that does not'],
    ['transport', 'an object with send()', {}, AN_OBJECT],
    ['observers', OBSERVERS, {}, AN_OBJECT],
    ['logger', 'an object with warn(), or false', {}, AN_OBJECT],
    ['clock', 'an object with wall(), monotonic() and after()', {}, AN_OBJECT],
    ['random', FUNCTION, 0.5, '0.5'],
    ['breaker', BREAKER, true, 'true'],
    ['breaker', BREAKER, [1], 'an array'],
    ['breaker', BREAKER, null, 'null'],
  ])('%s wants %s', (name, expected, wrong, shown) => {
    expect(issues({ [name]: wrong })).toEqual([`${name}: expected ${expected}, got ${shown}`]);
    expect(issues({ [name]: Symbol('s') })).toEqual([`${name}: expected ${expected}, got a symbol`]);
  });

  test('a token that would break the header, without quoting it', () => {
    for (const [token, shown] of [
      [' padded', '7 characters, with surrounding blanks'],
      ['päss', '4 characters'],
      ['a\r\nx: y', '7 characters, with a line break'],
      ['a\rb', '3 characters'],
      ['a\n', '2 characters, with a line break'],
      ['a\r', '2 characters, with surrounding blanks'],
    ] as const)
      expect(issues({ serviceToken: token })).toEqual([`serviceToken: expected ${TOKEN}, got a string of ${shown}`]);
    expect(issues({ serviceToken: '' })).toEqual([`serviceToken: expected ${TOKEN}, got an empty string`]);
  });

  test('an empty scope', () => {
    expect(issues({ scope: '' })).toEqual([`scope: expected ${SCOPE}, got an empty string`]);
    expect(issues({ scope: /x/ })).toEqual([`scope: expected ${SCOPE}, got a RegExp`]);
  });

  test('a key format that would remember where it was', () => {
    expect(issues({ keyFormat: /a/g })).toEqual([`keyFormat: expected ${KEY_FORMAT}, got a RegExp`]);
    expect(issues({ keyFormat: /a/y })).toEqual([`keyFormat: expected ${KEY_FORMAT}, got a RegExp`]);
    expect(issues({ keyFormat: /a/iu })).toEqual([]);
  });

  test('a key format that is fine', () => {
    expect(issues({ keyFormat: (key: string) => key.startsWith('sk-') })).toEqual([]);
  });

  test('a schema that is none', () => {
    const expected = 'claims: expected a Standard Schema, got ';
    for (const claims of [{}, { '~standard': {} }, { '~standard': { validate: 1 } }, { '~standard': null }])
      expect(issues({ claims })).toEqual([`${expected}an object`]);
    expect(issues({ claims: () => undefined })).toEqual([`${expected}a function`]);
    expect(issues({ claims: null })).toEqual([`${expected}null`]);
  });

  test.each<[string, readonly string[]]>([
    ['logger', ['warn']],
    ['transport', ['send']],
    ['dispatcher', ['dispatch']],
    ['protocol', ['encode', 'decode']],
    ['clock', ['wall', 'monotonic', 'after']],
  ])('%s without each of the methods %j', (name, methods) => {
    const whole = Object.fromEntries(methods.map((method) => [method, () => undefined]));
    expect(issues({ [name]: whole })).toEqual([]);
    for (const method of methods)
      for (const instead of [undefined, 1]) expect(issues({ [name]: { ...whole, [method]: instead } })).toHaveLength(1);
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
    expect(issues({ breaker: { threshold: 5 } })).toEqual([
      'breaker.threshold: there is no such option, did you mean failureThreshold?',
    ]);
    expect(issues({ breaker: { openMs: 9_000, maxOpenMs: 1_000 } })).toEqual([
      'breaker.openMs: expected at most maxOpenMs, 1000, got 9000',
    ]);
    expect(issues({ breaker: { openMs: 5_001 } })).toEqual([
      'breaker.openMs: expected at most maxOpenMs, 5000, got 5001',
    ]);
    expect(issues({ breaker: { openMs: 5_000 } })).toEqual([]);
    expect(issues({ breaker: { timeoutMs: 5 } })).toEqual(['breaker.timeoutMs: there is no such option']);
  });

  test('more than one way to send requests', () => {
    const fetch = () => Promise.resolve(new Response());
    const dispatcher = { dispatch: () => true };
    const transport = { send: () => undefined };
    for (const ways of [
      { fetch, dispatcher },
      { fetch, transport },
      { dispatcher, transport },
    ])
      expect(issues(ways)).toEqual(['fetch, dispatcher, transport: expected at most one of them']);
    for (const way of [{ fetch }, { dispatcher }, { transport }]) expect(issues(way)).toEqual([]);
  });
});

describe('an unknown option', () => {
  test.each([
    ['cacheTTL', 'cacheTtlMs'],
    ['cachettlms', 'cacheTtlMs'],
    ['fail_open', 'failOpen'],
    ['serviceTokn', 'serviceToken'],
    ['observer', 'observers'],
    ['retriesxxx', 'retries'],
    ['url', 'verifyUrl'],
    ['URL', 'verifyUrl'],
    ['token', 'serviceToken'],
    ['ttl', 'cacheTtlMs'],
    ['cacheTtlSeconds', 'cacheTtlMs'],
    ['cache', 'sharedCache'],
    ['concurency', 'maxConcurrency'],
    ['maxRetries', 'retries'],
    ['baseUrl', 'verifyUrl'],
    ['endpoint', 'verifyUrl'],
    ['serverUrl', 'verifyUrl'],
    ['keyServerUrl', 'verifyUrl'],
  ])('%s is taken for a typo of %s', (typo, meant) => {
    expect(issues({ [typo]: 1 })).toEqual([`${typo}: there is no such option, did you mean ${meant}?`]);
  });

  test.each(['colourful', 'retriesxxxx', 'timeToLiveInSeconds', 'header', 'apiKey', 'ms'])(
    '%s resembles none',
    (name) => {
      expect(issues({ [name]: 'secret-value' })).toEqual([`${name}: there is no such option`]);
    },
  );
});

test.each(['sk-secret-key', 'sk_SECRET_42', 'a'.repeat(33), 'geheimnißvoll'])(
  'a name that may be a key is not shown: %s',
  (secret) => {
    expect(issues({ [secret]: 1, breaker: { [secret]: 1 } })).toEqual([
      'breaker.[redacted]: there is no such option',
      '[redacted]: there is no such option',
    ]);
  },
);

describe('an observer', () => {
  const nothing = (): void => undefined;
  const WRONG = {
    onFail: nothing,
    onEvent: nothing,
    onfailure: nothing,
    failure: nothing,
    other: nothing,
    onStale: true,
    onShared: undefined,
    stale: 0,
    onVerdict: nothing,
  };

  test.each<[string, object]>([
    ['a literal', { ...WRONG }],
    ['without a prototype', Object.assign(Object.create(null) as object, WRONG)],
  ])('%s has its methods under the names of events, and nothing else there', (_, observer) => {
    expect(issues({ observers: [{}, observer] })).toEqual([
      'observers.1.onFail: there is no such event, did you mean onFailure?',
      'observers.1.onEvent: there is no such event',
      'observers.1.onfailure: there is no such event, did you mean onFailure?',
      'observers.1.failure: there is no such event, did you mean onFailure?',
      'observers.1.other: there is no such event',
      'observers.1.onStale: expected a function, got true',
    ]);
  });

  test('is an object, and there only once: otherwise its place is named', () => {
    const twice = {};
    expect(issues({ observers: [twice, null, nothing, twice, {}, twice] })).toEqual([
      'observers.1: expected an object, got null',
      'observers.2: expected an object, got a function',
      'observers.3: the same object as observers.0',
      'observers.5: the same object as observers.0',
    ]);
  });

  test('is reported together with other mistakes', () => {
    expect(issues({ observers: [{ onFail: nothing }], retries: -1 })).toEqual([
      expect.stringMatching(/^retries: /),
      'observers.0.onFail: there is no such event, did you mean onFailure?',
    ]);
  });

  test('of a class may have methods for others, but no misspelled ones', () => {
    class Base {
      onFail(): void {
        nothing();
      }
    }
    class Metrics extends Base {
      onModuleInit(): void {
        nothing();
      }
      onFailure(): void {
        nothing();
      }
      on(): void {
        nothing();
      }
      once(): void {
        nothing();
      }
      onstale(): void {
        nothing();
      }
      failure(): void {
        nothing();
      }
      readonly onBreaker = 7;
      readonly onlyOnce = true;
    }
    expect(issues({ observers: [new Metrics()] })).toEqual([
      'observers.0.onBreaker: expected a function, got 7',
      'observers.0.onstale: there is no such event, did you mean onStale?',
      'observers.0.onFail: there is no such event, did you mean onFailure?',
    ]);
  });
});

test('mistakes are listed all at once, the URL first', () => {
  expect(issues({ verifyUrl: 'nowhere', serviceToken: '', retries: -1, retry: 1 })).toEqual([
    'verifyUrl: expected a URL with https:// or http://, such as https://keys.example.com/verify',
    expect.stringMatching(/^serviceToken: /),
    expect.stringMatching(/^retries: /),
    'retry: there is no such option, did you mean retries?',
  ]);
});

test('options that are no object at all are refused as a whole', () => {
  const { options, issues: found } = validateOptions(undefined);
  expect(options).toBeUndefined();
  expect(found).toHaveLength(1);
});
