import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { startKeyServer } from 'keyverify/testing';

import { systemClock } from '../../src/core/clock.js';
import { VERIFY_NOW } from '../../src/core/verifier.js';
import { createGuard } from '../../src/guard/guard.js';
import type { GuardOptions, RouteOptions } from '../../src/guard/options.js';
import type { GuardRequest } from '../../src/guard/request.js';
import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { acme, saying } from './verifiers.js';

const KEY = 'sk-acme-0123456789';
const TOKEN = 'a-service-token';

const requestWith = (headers: Record<string, string[]>): GuardRequest => ({
  header: (name) => headers[name] ?? [],
  url: '/',
});
const withKey = requestWith({ 'x-api-key': [KEY] });
const withoutKey = requestWith({});
const withTwo = requestWith({ 'x-api-key': [KEY, 'sk-other'] });

const throwing = (message: string) => throwingAny(new Error(message));
const throwingAny = (error: unknown) => (): never => {
  throw error;
};
/** Whatever is done with it throws, `instanceof` too. */
const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const warn = vi.spyOn(console, 'warn');
const lines = (): unknown[] => warn.mock.calls.flat();

beforeEach(() => {
  warn.mockReset().mockReturnValue();
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const status = async (decision: ReturnType<ReturnType<typeof createGuard>>): Promise<number | undefined> =>
  (await decision).denial?.status;

describe('a guard that answers 500 says why', () => {
  test('if the function for the verifier throws, once a minute', async () => {
    vi.stubEnv('KEYVERIFY_URL', '');
    vi.stubEnv('KEYVERIFY_SERVICE_TOKEN', '');
    const now = vi.spyOn(systemClock, 'monotonic').mockReturnValue(0);
    onTestFinished(() => now.mockRestore());
    const guard = createGuard(() => new KeyVerifier());
    for (let i = 0; i < 3; i++) expect(await status(guard(withKey))).toBe(500);
    expect(lines()).toEqual([
      'keyverify: a guard answers 500, since the function that creates the verifier threw: InvalidOptionsError: ' +
        'keyverify: invalid options - verifyUrl (KEYVERIFY_URL): expected a URL with https:// or http://, such as https://keys.example.com/verify, got an empty string; pass it, or set KEYVERIFY_URL ' +
        '- serviceToken (KEYVERIFY_SERVICE_TOKEN): expected printable ASCII, or a function that returns it, got an empty string',
    ]);
    now.mockReturnValue(60_000);
    await guard(withKey);
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toMatch(/an empty string \(2 more since the last line like this\)$/);
  });

  test('if the function for the verifier returns something else', async () => {
    const sources = [async () => await Promise.resolve(saying(acme)), () => undefined, () => ({}), () => 'verifier'];
    for (const source of sources) {
      expect(await status(createGuard(source as unknown as () => DefaultVerifier)(withKey))).toBe(500);
    }
    const returned = 'keyverify: a guard answers 500, since the function that creates the verifier returned';
    expect(lines()).toEqual([
      `${returned} a promise: await the verifier first`,
      `${returned} undefined, not an object with verify()`,
      `${returned} an object without verify()`,
      `${returned} a string of 8 characters, not an object with verify()`,
    ]);
  });

  test.each<[string, GuardOptions, GuardRequest]>([
    ['authorize() threw (/): Error: inside', { authorize: throwing('inside') }, withKey],
    ['authorize() threw (/): Error: on two lines', { authorize: throwing('on\n  two lines\n') }, withKey],
    ['authorize() threw (/): Error: [redacted] it is', { authorize: throwing(`${KEY} it is`) }, withKey],
    [
      'onDenied() threw, or returned what cannot be sent (/): Error: inside',
      { onDenied: throwing('inside') },
      withoutKey,
    ],
    [
      'onDenied() threw, or returned what cannot be sent (/): RangeError: status: expected 400 to 599, got 200',
      { onDenied: () => ({ status: 200 }) },
      withoutKey,
    ],
    [
      'onDenied() threw, or returned what cannot be sent (/): TypeError: headers: "x a" is not the name of a header that can be set',
      { onDenied: () => ({ headers: { 'x a': 'b' } }) },
      withoutKey,
    ],
    [
      'onDenied() threw, or returned what cannot be sent (/): TypeError: headers.x-a: expected a string of printable ASCII, ' +
        'got a string of 3 characters, with a line break',
      { onDenied: () => ({ headers: { 'x-a': 'b\nc' } }) },
      withoutKey,
    ],
    // It has the keys, and we don't know which of them is one.
    ['onDenied() threw, or returned what cannot be sent: Error', { onDenied: throwing(`not ${KEY}`) }, withTwo],
    [
      'onDenied() threw, or returned what cannot be sent: Error',
      { onDenied: throwingAny(Object.assign(new Error(), { name: KEY })) },
      withTwo,
    ],
    [
      'onDenied() threw, or returned what cannot be sent: RangeError',
      { onDenied: throwingAny(new RangeError(KEY)) },
      withTwo,
    ],
    ['onDenied() threw, or returned what cannot be sent: Error', { onDenied: throwingAny(revoked()) }, withTwo],
    ['authorize() threw (/): Error: no message', { authorize: throwingAny(revoked()) }, withKey],
  ])('if %s', async (why, options, request) => {
    const guard = createGuard(saying(acme), options);
    for (let i = 0; i < 2; i++) expect(await status(guard(request))).toBe(500);
    expect(lines()).toEqual([`keyverify: a guard answers 500, since ${why}`]);
  });

  test('and denies a key with half a surrogate pair like any other that is malformed', async () => {
    const verifier = new KeyVerifier({ verifyUrl: 'http://127.0.0.1:1/', serviceToken: TOKEN });
    onTestFinished(async () => await verifier.close());
    const decision = await createGuard(verifier)(requestWith({ 'x-api-key': ['\ud800abcdefgh'] }));
    expect(JSON.parse(decision.denial?.body ?? '')).toMatchObject({ status: 401, reason: 'malformed_key' });
    expect(lines()).toEqual([]);
  });

  test('if verify(), the options of a route or the request are to blame', async () => {
    expect(await status(createGuard(saying(new Error(`no ${KEY}`)))(withKey))).toBe(500);
    expect(await status(createGuard(saying(acme))(withKey, { optinal: true } as RouteOptions))).toBe(500);
    expect(await status(createGuard(saying(acme))({ ...withKey, header: throwing(KEY) }))).toBe(500);
    expect(lines()).toEqual([
      'keyverify: a guard answers 500, since verify() threw, or gave no result: Error: no [redacted]',
      'keyverify: a guard answers 500, since the options of this route are wrong (/): InvalidOptionsError: ' +
        'keyverify: invalid options - optinal: there is no such option, did you mean optional?',
      'keyverify: a guard answers 500, since the request could not be read: Error',
    ]);
  });

  test.each<[string, () => unknown]>([
    ['Error: inside', throwing('inside')],
    ['TypeError: keyverify: the verifier gave no result', () => undefined],
  ])('if a verifier of somebody else’s is to blame, at once or later: %s', async (why, answer) => {
    const verify = async () => await Promise.resolve(answer() as typeof acme);
    const cachedOnly = { verify, [VERIFY_NOW]: () => answer() as typeof acme };
    for (const verifier of [{ verify }, cachedOnly]) expect(await status(createGuard(verifier)(withKey))).toBe(500);
    const line = `keyverify: a guard answers 500, since verify() threw, or gave no result: ${why}`;
    expect(lines()).toEqual([line, line]);
  });

  test.each([
    ['/orders', '/orders'],
    [`/orders?key=${KEY}`, '/orders'],
    ['/orders#x?y', '/orders'],
    ['/orders?a#b\nc', '/orders'],
    ['/or ders\r\n\u001b[31m\u00e9', '/orders[31m'],
    [`/keys/${KEY}`, '/keys/[redacted]'],
    [`/${'x'.repeat(300)}`, `/${'x'.repeat(199)}`],
    [`/${'x'.repeat(190)}/${KEY}/y`, `/${'x'.repeat(190)}/[redacte`],
  ])('of the route of %j it names the path %s', async (url, path) => {
    await createGuard(saying(acme))({ ...withKey, url }, { optinal: true } as RouteOptions);
    expect(lines()).toEqual([
      `keyverify: a guard answers 500, since the options of this route are wrong (${path}): InvalidOptionsError: ` +
        'keyverify: invalid options - optinal: there is no such option, did you mean optional?',
    ]);
  });

  const fails = { authorize: throwing('inside') };
  const answersOne = { authorize: () => 1 as never };
  const returnsText = { onDenied: () => 'no' as never };
  const THREW = 'a guard answers 500, since authorize() threw';
  const NO_BOOLEAN = 'a guard answers 403, since authorize() returned 1, expected true or false';
  const TEXT = 'onDenied() returned a string of 2 characters, which has no effect: return { status, headers, body }';
  test.each<[string, GuardOptions, GuardRequest, string]>([
    [`${THREW} (/orders/[redacted]): Error: inside`, fails, withKey, `/orders/${KEY}?x`],
    [`${THREW}: Error: inside`, fails, withKey, ''],
    [`${THREW}: Error: inside`, fails, withKey, '?a'],
    [`${NO_BOOLEAN} (/orders)`, answersOne, withKey, '/orders?x'],
    [NO_BOOLEAN, answersOne, withKey, ''],
    [`${TEXT} (/orders)`, returnsText, withoutKey, '/orders?key=x'],
    // It has keys that we don't know.
    [TEXT, returnsText, withTwo, '/orders'],
  ])('with the path of the request: %s', async (line, options, request, url) => {
    await createGuard(saying(acme), options)({ ...request, url });
    expect(lines()).toEqual([`keyverify: ${line}`]);
  });

  test('of each route whose options are wrong, so that one does not hide another', async () => {
    const guard = createGuard(saying(acme));
    for (const route of [{ optinal: true }, { maxAgeMs: -1 }, { optinal: true }])
      expect(await status(guard(withKey, route as RouteOptions))).toBe(500);
    expect(lines()).toEqual([
      expect.stringMatching(/optinal: there is no such option, did you mean optional\?$/),
      expect.stringMatching(/maxAgeMs: expected a number of milliseconds, 0 or more, got -1$/),
    ]);
  });

  test('if only the request id could not be read, without blame for the rest of the request', async () => {
    const header = (name: string): readonly string[] =>
      name === 'x-request-id' ? throwing(KEY)() : withTwo.header(name);
    expect(await status(createGuard(saying(acme))({ ...withTwo, header }))).toBe(500);
    expect(lines()).toEqual(['keyverify: a guard answers 500, since the request could not be read: Error']);
  });

  test.each<[string, object]>([
    ['header() must return an array of strings, got a string of 25 characters', { header: () => `Bearer ${KEY}` }],
    ['header() must return an array of strings, got null', { header: () => null }],
    ['expected a request with header()', { header: undefined }],
    ['expected a request with header()', { header: 'x' }],
  ])('if the request is made wrongly: %s', async (why, wrong) => {
    for (const keySources of [undefined, [{ header: 'x-api-key' }], [{ cookie: 'key' }], [{ subprotocol: 'key.' }]])
      expect(await status(createGuard(saying(acme), { keySources })({ ...withKey, ...wrong }))).toBe(500);
    const line = `keyverify: a guard answers 500, since the request could not be read: TypeError: ${why}`;
    expect(lines()).toEqual([line, line, line, line]);
  });

  test('on the log of the verifier, without its secrets', async () => {
    await using server = await startKeyServer({
      serviceTokens: [TOKEN],
      keys: { [KEY]: { client: 'acme', tenant: 'cust-A' } },
    });
    const logger = { warn: vi.fn() };
    const options = { verifyUrl: server.verifyUrl, serviceToken: TOKEN };
    const authorize = throwing(`${TOKEN} ${KEY} inside`);
    await using verifier = new KeyVerifier({ ...options, logger });
    expect(await status(createGuard(verifier, { authorize })(withKey))).toBe(500);
    expect(await status(createGuard(() => verifier, { authorize })(withKey))).toBe(500);
    const line = 'keyverify: a guard answers 500, since authorize() threw (/): Error: [redacted] [redacted] inside';
    expect(logger.warn.mock.calls).toEqual([[line], [line]]);
    await using fetches = new KeyVerifier({ ...options, logger, serviceToken: () => TOKEN });
    expect(await status(createGuard(fetches, { onDenied: throwing('inside') })(withoutKey))).toBe(500);
    expect(logger.warn).toHaveBeenLastCalledWith(expect.stringMatching(/onDenied\(\) threw/));
    await using silent = new KeyVerifier({ ...options, logger: false });
    expect(await status(createGuard(silent, { authorize })(withKey))).toBe(500);
    expect(lines()).toEqual([]);
  });

  test('but says nothing if it answers by the table, or the caller has left', async () => {
    await createGuard(saying(acme), { authorize: () => false })(withKey);
    await createGuard(saying(acme))(withoutKey);
    const left = { ...withKey, signal: () => AbortSignal.abort() };
    expect(await status(createGuard(saying(acme), { authorize: throwing('inside') })(left))).toBe(499);
    expect(lines()).toEqual([]);
  });

  test('also if the log throws', async () => {
    warn.mockImplementation(throwing('disk full'));
    expect(await status(createGuard(saying(acme), { authorize: throwing('inside') })(withKey))).toBe(500);
  });
});

test('a field that onDenied() returned to no effect is named, and the request denied', async () => {
  const onDenied = () => ({ stauts: 404, headers: { 'x-a': 'b' } });
  const guard = createGuard(saying(acme), { onDenied });
  for (let i = 0; i < 2; i++)
    expect((await guard(withoutKey)).denial).toMatchObject({ status: 401, headers: { 'x-a': 'b' } });
  expect(lines()).toEqual([
    'keyverify: onDenied() returned a field that has no effect: stauts, did you mean status? (/)',
  ]);
});

test.each([null, undefined, 7, { status: 404, headers: {}, body: 1 }])('onDenied() may return %j', async (returned) => {
  const guard = createGuard(saying(acme), { onDenied: () => returned as never });
  expect(await status(guard(withoutKey))).toBe(typeof returned === 'object' && returned !== null ? 404 : 401);
  expect(lines()).toEqual([]);
});

test.each<[string, unknown, number]>([
  ['a Response, which has no effect: return { status, headers, body }', new Response('no', { status: 404 }), 401],
  ['a string of 2 characters, which has no effect: return { status, headers, body }', 'no', 401],
  ...[new Headers({ 'x-a': 'b' }), new Map([['x-a', 'b']]), [['x-a', 'b']]].map(
    (headers): [string, unknown, number] => [
      'headers that have no effect: write them as an object, { name: value }',
      { status: 404, headers },
      404,
    ],
  ),
])('that onDenied() returned %s is said once', async (what, returned, expected) => {
  const guard = createGuard(saying(acme), { onDenied: () => returned as never });
  for (let i = 0; i < 2; i++) {
    const { denial } = await guard(withoutKey);
    expect(denial?.status).toBe(expected);
    expect(denial?.content).toMatchObject({ status: expected, reason: 'missing_key' });
    expect(Object.keys(denial?.headers ?? {}).sort()).toEqual([
      'cache-control',
      'content-type',
      'www-authenticate',
      'x-request-id',
    ]);
  }
  expect(lines()).toEqual([`keyverify: onDenied() returned ${what} (/)`]);
});

test.each([
  [undefined, 'undefined'],
  ['yes', 'a string of 3 characters'],
  [1, '1'],
])('a guard that answers 403 since authorize() returned %j says so once a minute', async (returned, shown) => {
  const guard = createGuard(saying(acme), { authorize: () => returned as never });
  for (let i = 0; i < 2; i++) expect(await status(guard(withKey))).toBe(403);
  expect(lines()).toEqual([
    `keyverify: a guard answers 403, since authorize() returned ${shown}, expected true or false (/)`,
  ]);
});
