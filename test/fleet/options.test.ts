import { expect, test } from 'vitest';

import { InvalidOptionsError } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';

const send = async () => await Promise.resolve(null);
const secret = 'a-secret-of-32-characters-or-more';

const SECRET = 'secret: expected at least 32 bytes of random text, or a list of such secrets, got ';
const SEND = 'send: expected a function such as (command) => redis.call(...command), got';
const AT_LEAST = 'expected a number of milliseconds, at least';

test.each<[string, (options: never) => object, unknown, readonly string[]]>([
  ['redisCache', redisCache, { send, secret: 'only-a-dozen' }, [`${SECRET}a string of 12 characters`]],
  ['redisCache', redisCache, { send }, [`${SECRET}undefined`]],
  ['redisCache', redisCache, { send, secret: [] }, [`${SECRET}an empty array`]],
  [
    'redisCache',
    redisCache,
    { send, secret: [secret, '', 'only-a-dozen', secret, undefined] },
    [
      'secret.1: expected at least 32 bytes of random text, got an empty string',
      'secret.2: expected at least 32 bytes of random text, got a string of 12 characters',
      'secret.4: expected at least 32 bytes of random text, got undefined',
    ],
  ],
  [
    'redisRevocations',
    redisRevocations,
    { send, signingSecret: [12_345_678, secret], pollMs: 1 },
    ['signingSecret.0: expected at least 32 bytes of random text, got a number', `pollMs: ${AT_LEAST} 10, got 1`],
  ],
  [
    'redisCache',
    redisCache,
    { sen: send, secret, prefix: 1, retentionMs: 5 },
    [
      `${SEND} undefined`,
      'prefix: expected a string, got 1',
      'sen: there is no such option, did you mean send?',
      'retentionMs: there is no such option',
    ],
  ],
  ['redisCache', redisCache, { url: 'redis://', secret }, [`${SEND} undefined`, 'url: there is no such option']],
  ['redisCache', redisCache, null, ['options: expected an object, got null']],
  [
    'redisRevocations',
    redisRevocations,
    { send: 7, pollMs: 1, retentionMs: '5', poolMs: 1 },
    [
      `${SEND} 7`,
      `pollMs: ${AT_LEAST} 10, got 1`,
      `retentionMs: ${AT_LEAST} 300000, got "5"`,
      'poolMs: there is no such option, did you mean pollMs?',
    ],
  ],
  ['redisRevocations', redisRevocations, { send, retentionMs: 86_400 }, [`retentionMs: ${AT_LEAST} 300000, got 86400`]],
  ['sseRevocations', sseRevocations, { heartbeatMs: 5 }, [`heartbeatMs: ${AT_LEAST} 100, got 5`]],
  [
    'sseRevocations',
    sseRevocations,
    { url: 'http://keys.test/', token: 'a\n', heartbeatMs: NaN, fetch: 1, heartBeat: 5 },
    [
      'url: expected a URL without credentials: https:, or http: to this machine, since others could read the token, got a string of 17 characters',
      'token: expected printable ASCII, or a function that returns it, got a string of 2 characters, with a line break',
      `heartbeatMs: ${AT_LEAST} 100, got NaN`,
      'fetch: expected a function, got 1',
      'heartBeat: there is no such option, did you mean heartbeatMs?',
    ],
  ],
])('%s() says of each wrong option what is expected', (_, build, options, issues) => {
  expect(() => build(options as never)).toThrow(new InvalidOptionsError(issues));
});

test.each([undefined, {}, { token: () => 'token', url: new URL('https://keys.test/'), heartbeatMs: 100 }])(
  'sseRevocations(%j) is right',
  (options) => {
    expect(sseRevocations(options).heartbeatMs).toBe(options?.heartbeatMs ?? 5_000);
  },
);
