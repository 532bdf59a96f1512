import { KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';

import { InvalidOptionsError } from '../../src/core/errors.js';
import { type Decision, proceed } from '../../src/guard/decision.js';
import { createGuard } from '../../src/guard/guard.js';
import type { GuardOptions, RouteOptions } from '../../src/guard/options.js';
import type { DefaultVerifier } from '../../src/guard/verifier.js';
import type { VERIFIER_OPTIONS } from '../../src/guard/verifier-options.js';
import type { GuardRequest } from '../../src/guard/request.js';
import type { Rejected, Verified } from '../../src/core/result.js';
import type { ProblemDetails } from '../../src/guard/denial.js';
import { VERIFY_NOW, type VerifyOptions } from '../../src/core/verifier.js';
import { acme, failedClosed, failedOpen, rejected, saying } from './verifiers.js';

const requestWith = (headers: Record<string, string | string[]>): GuardRequest => ({
  header: (name) => [headers[name] ?? []].flat(),
  url: '/',
});
const withKey = requestWith({ authorization: 'Bearer sk-1' });
const withoutKey = requestWith({});

// A guard that answers 500 says why.
beforeEach(() => {
  vi.spyOn(console, 'warn').mockReturnValue();
});

async function denied(decision: ReturnType<ReturnType<typeof createGuard>>) {
  const decided = await decision;
  if (decided.allowed) throw new Error('it was allowed');
  return decided.denial;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const problemOf = ({ body }: { body: string }) => JSON.parse(body) as ProblemDetails;

describe('a guard', () => {
  it('lets a verified caller in and asks with what the route and the request say', async () => {
    const verifier = saying(acme);
    const guard = createGuard(verifier, { maxAgeMs: 0, failOpen: false });
    const { signal } = new AbortController();
    const waitUntil = vi.fn();
    expect(await guard({ ...withKey, signal: () => signal, waitUntil })).toEqual({ allowed: true, identity: acme });
    expect(verifier.asked).toEqual([{ key: 'sk-1', options: { signal, waitUntil, maxAgeMs: 0, failOpen: false } }]);
  });

  it('answers at once, without a promise and a signal, where the verifier can', async () => {
    const answering = (result: Verified | Rejected) => ({ ...saying(acme), [VERIFY_NOW]: vi.fn(() => result) });
    const signal = vi.fn(() => new AbortController().signal);
    const waitUntil = vi.fn();
    const cached = answering({ ...acme, source: 'cache' });
    const guard = createGuard(cached, { maxAgeMs: 5, failOpen: false });
    expect(guard({ ...withKey, signal, waitUntil })).toEqual({
      allowed: true,
      identity: { ...acme, source: 'cache' },
    });
    const options = { waitUntil, maxAgeMs: 5, failOpen: false };
    expect(cached[VERIFY_NOW]).toHaveBeenCalledExactlyOnceWith('sk-1', options, signal);
    const refused = answering(rejected('revoked'));
    expect(await denied(createGuard(refused)({ ...withKey, signal }))).toMatchObject({ status: 401 });
    expect([cached.asked, refused.asked]).toEqual([[], []]);
    expect(signal).not.toHaveBeenCalled();
  });

  it('denies when the verifier throws instead of rejecting', async () => {
    const verifier = { ...saying(acme), [VERIFY_NOW]: () => { throw new Error('inside'); } }; // prettier-ignore
    const denial = await denied(createGuard(verifier)(withKey));
    expect(denial.status).toBe(500);
    expect(denial.body).not.toContain('inside');
  });

  it('asks authorize() about a caller with a cached verdict, too', async () => {
    const verifier = { ...saying(acme), [VERIFY_NOW]: () => acme };
    expect((await denied(createGuard(verifier, { authorize: () => false })(withKey))).reason).toBe('not_allowed');
    expect(await createGuard(verifier, { authorize: () => true })(withKey)).toEqual({ allowed: true, identity: acme });
  });

  it('denies by the table, with a body that is not cached', async () => {
    const denial = await denied(createGuard(saying(rejected('revoked')), { realm: 'orders' })(withKey));
    expect(denial).toMatchObject({ status: 401, reason: 'revoked' });
    expect(denial.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      'www-authenticate': 'Bearer realm="orders", error="invalid_token"',
    });
    expect(problemOf(denial)).toMatchObject({
      status: 401,
      reason: 'revoked',
      requestId: denial.headers['x-request-id'],
    });
  });

  it('denies a request without a key, or with two, without asking', async () => {
    const verifier = saying(acme);
    const guard = createGuard(verifier);
    expect((await denied(guard(withoutKey))).headers['www-authenticate']).toBe('Bearer realm="api"');
    expect(problemOf(await denied(guard(requestWith({ authorization: 'sk-1' }))))).toMatchObject({
      detail: 'Send the key as Authorization: Bearer <key>, or as the header x-api-key.',
      reason: 'missing_key',
    });
    const two = await denied(guard(requestWith({ 'x-api-key': ['sk-1', 'sk-2'] })));
    expect(two).toMatchObject({ status: 400, reason: 'ambiguous_key' });
    expect(two.headers['www-authenticate']).toBe('Bearer realm="api", error="invalid_request"');
    const withScheme = await denied(guard(requestWith({ 'x-api-key': ['Bearer sk-1'] })));
    expect(problemOf(withScheme)).toMatchObject({
      title: 'Send exactly one API key, without a scheme, spaces or commas',
      reason: 'ambiguous_key',
    });
    expect(verifier.asked).toEqual([]);
  });

  it('says how to send a key only where there is none, and by its own places', async () => {
    const keySources = [{ query: 'key' }, { cookie: 'id' }, { subprotocol: 'key.' }, { header: 'X-Key' }] as const;
    const none = await denied(createGuard(saying(acme), { keySources })(withoutKey));
    expect(problemOf(none).detail).toBe(
      'Send the key as the query parameter key, or as the cookie id, or as the subprotocol key.<key>, or as the header X-Key.',
    );
    const revoked = await denied(createGuard(saying(rejected('revoked')))(withKey));
    expect(problemOf(revoked)).not.toHaveProperty('detail');
  });

  it('lets a request without a key in where the key is optional, but none with a bad key', async () => {
    const guard = createGuard(saying(rejected('revoked')), { optional: true });
    expect(await guard(withoutKey)).toEqual({ allowed: true, identity: null });
    expect((await denied(guard(withoutKey, { optional: false }))).reason).toBe('missing_key');
    expect((await denied(guard(withKey))).status).toBe(401);
    expect((await denied(createGuard(saying(failedClosed('timeout')), { optional: true })(withKey))).status).toBe(503);
  });

  it('lets a caller in without an identity where the verifier fails open', async () => {
    expect(await createGuard(saying<true>(failedOpen))(withKey)).toEqual({ allowed: true, identity: null });
  });

  it.each<[string, GuardOptions['authorize'], number | null]>([
    ['true', () => true, null],
    ['a promise of true', async () => await Promise.resolve(true), null],
    ['false', () => false, 403],
    ['what is only truthy', (() => 'yes') as unknown as () => boolean, 403],
    ['an error', () => { throw new Error('inside'); }, 500], // prettier-ignore
    ['a rejection', async () => await Promise.reject(new Error('inside')), 500],
  ])('takes %s of authorize() for what it is', async (_, authorize, status) => {
    const decided = await createGuard(saying(acme), authorize && { authorize })(withKey);
    expect(decided.allowed ? null : decided.denial.status).toBe(status);
    expect(JSON.stringify(decided)).not.toContain('inside');
  });

  it('asks authorize() about a caller without an identity, too', async () => {
    const authorize = vi.fn(() => false);
    expect((await denied(createGuard(saying(acme), { optional: true, authorize })(withoutKey))).reason).toBe(
      'not_allowed',
    );
    expect(authorize).toHaveBeenCalledExactlyOnceWith(null);
  });

  it.each([undefined, null, {}, { valid: 0 }])(
    'admits nobody for a verifier that says %j, optional or not',
    async (said) => {
      const verifier = { verify: async () => await Promise.resolve(said as unknown as Verified) };
      for (const optional of [false, true]) {
        expect((await denied(createGuard(verifier, { optional })(withKey))).status).toBe(500);
        const cachedOnly = { ...verifier, [VERIFY_NOW]: () => said as unknown as Verified };
        expect((await denied(createGuard(cachedOnly, { optional })(withKey))).status).toBe(500);
      }
    },
  );

  it('denies with a bare 500 when the verifier or the request throws', async () => {
    const denial = await denied(createGuard(saying(new Error('inside')))(withKey));
    expect(problemOf(denial)).toMatchObject({ status: 500, reason: 'internal_error', title: 'Internal server error' });
    const broken = { url: '/', header: () => { throw new Error('inside'); } }; // prettier-ignore
    const bare = await denied(createGuard(saying(acme))(broken));
    expect(bare.status).toBe(500);
    expect(bare.headers['x-request-id']).toMatch(UUID);
    expect(problemOf(bare).requestId).toBe(bare.headers['x-request-id']);
  });
});

describe('a function that returns the verifier', () => {
  it('is called at the first request with a key, and its verifier is kept', async () => {
    const verifier = saying(acme);
    const source = vi.fn(() => verifier);
    const guard = createGuard(source);
    await guard(withoutKey);
    expect(source).not.toHaveBeenCalled();
    expect(await guard(withKey)).toEqual({ allowed: true, identity: acme });
    expect(await guard(withKey)).toEqual({ allowed: true, identity: acme });
    expect(source).toHaveBeenCalledOnce();
    expect(verifier.asked).toHaveLength(2);
  });

  it('denies with 500 while it throws, and is called again', async () => {
    const onDenied = vi.fn();
    const error = new Error('inside');
    const source = vi.fn((): ReturnType<typeof saying> => saying(acme)).mockImplementationOnce(() => { throw error; }); // prettier-ignore
    const guard = createGuard(source, { onDenied });
    const denial = await denied(guard(withKey));
    expect(denial).toMatchObject({ status: 500, reason: 'internal_error' });
    expect(denial.body).not.toContain('inside');
    expect(onDenied).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ status: 500 }), { error });
    expect((await guard(withKey)).allowed).toBe(true);
  });

  it('denies with 500 if it returns none', async () => {
    const guard = createGuard((() => undefined) as unknown as () => ReturnType<typeof saying>);
    expect((await denied(guard(withKey))).status).toBe(500);
  });
});

describe('going on with a decision', () => {
  const decision: Decision<null> = { allowed: true, identity: null };

  it('is synchronous if the decision is there, and asynchronous otherwise', async () => {
    const heard: Decision<null>[] = [];
    proceed(decision, (it) => heard.push(it));
    expect(heard).toEqual([decision]);
    proceed(Promise.resolve(decision), (it) => heard.push(it));
    expect(heard).toHaveLength(1);
    await Promise.resolve();
    expect(heard).toEqual([decision, decision]);
  });
});

describe('the request id of a denial', () => {
  const idOf = async (headers: Record<string, string | string[]>) =>
    (await denied(createGuard(saying(rejected('revoked')))(requestWith({ 'x-api-key': 'sk-1', ...headers })))).headers[
      'x-request-id'
    ];

  it('is the caller’s own', async () => {
    expect(await idOf({ 'x-request-id': 'req-7' })).toBe('req-7');
    const denial = await denied(createGuard(saying(acme))(requestWith({ 'x-request-id': 'req-7' })));
    expect(problemOf(denial).requestId).toBe('req-7');
    // No key is looked for in it where none came.
    expect((await denied(createGuard(saying(acme))(requestWith({ 'x-request-id': 'null' })))).headers).toMatchObject({
      'x-request-id': 'null',
    });
  });

  it('stays the same where a hook fails', async () => {
    const request = requestWith({ 'x-api-key': 'sk-1', 'x-request-id': 'req-7' });
    const onDenied = (): never => { throw new Error('inside'); }; // prettier-ignore
    const denial = await denied(createGuard(saying(rejected('revoked')), { onDenied })(request));
    expect(denial).toMatchObject({ status: 500, headers: { 'x-request-id': 'req-7' } });
  });

  it('is that of the framework, if it is well-formed and not the key', async () => {
    const guard = createGuard(saying(rejected('revoked')));
    const idFor = async (requestId: string) =>
      (await denied(guard({ ...requestWith({ 'x-api-key': 'sk-1', 'x-request-id': 'req-7' }), requestId }))).headers[
        'x-request-id'
      ];
    expect(await idFor('req-a')).toBe('req-a');
    expect(await idFor('req a')).toMatch(UUID);
    expect(await idFor('req-sk-1')).toMatch(UUID);
  });

  it('is a new one where the key could not be read, since it may be the key', async () => {
    const header = (name: string): string[] => {
      if (name === 'x-request-id') return ['sk-1'];
      throw new Error('inside');
    };
    const denial = await denied(createGuard(saying(acme))({ url: '/', header }));
    expect(denial).toMatchObject({ status: 500, headers: { 'x-request-id': expect.stringMatching(UUID) as string } });
  });

  it.each<[string, Record<string, string | string[]>]>([
    ['there is none', {}],
    ['it came twice', { 'x-request-id': ['req-7', 'req-8'] }],
    ['it is no id', { 'x-request-id': 'req 7"' }],
    ['it ends like one', { 'x-request-id': '"req 7' }],
    ['it holds the key', { 'x-request-id': 'sk-1' }],
    ['nobody can tell which is the key', { 'x-request-id': 'sk-2', authorization: 'Bearer sk-2' }],
  ])('is a new one where %s', async (_, headers) => expect(await idOf(headers)).toMatch(UUID));
});

describe('a hook', () => {
  const shapedBy = async (onDenied: GuardOptions['onDenied']) =>
    await denied(createGuard(saying(rejected('revoked')), onDenied && { onDenied })(withKey));

  it('sees why, with what the verifier said or what was thrown', async () => {
    const onDenied = vi.fn(() => undefined);
    const result = failedClosed('timeout');
    await createGuard(saying(result), { onDenied })(withKey);
    expect(onDenied).toHaveBeenLastCalledWith(expect.objectContaining({ reason: 'unavailable' }), { result });
    const error = new Error('inside');
    await createGuard(saying(error), { onDenied })(withKey);
    expect(onDenied).toHaveBeenLastCalledWith(expect.objectContaining({ status: 500 }), { error });
  });

  it('shapes the answer and keeps the safe defaults', async () => {
    const denial = await shapedBy((problem) => ({
      status: 404,
      headers: { 'Content-Type': 'application/json', 'Cache-Control': 'public', 'X-Request-Id': 'mine', 'x-more': '1' },
      body: { error: problem.reason },
    }));
    expect(denial).toMatchObject({ status: 404, body: '{"error":"revoked"}', content: { error: 'revoked' } });
    expect(denial.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-more': '1',
      'www-authenticate': 'Bearer realm="api", error="invalid_token"',
    });
    expect(denial.headers['x-request-id']).not.toBe('mine');
  });

  it.each([400, 599])('may give any status that denies, such as %i, and the body has the same', async (status) => {
    const denial = await shapedBy(() => ({ status }));
    expect(denial).toMatchObject({ status, content: { status } });
    expect(problemOf(denial)).toMatchObject({ status, reason: 'revoked' });
  });

  it.each<[string, GuardOptions['onDenied']]>([
    ['nothing', () => undefined],
    ['what is no override', (() => 404) as unknown as GuardOptions['onDenied']],
    ['a promise of nothing', async () => await Promise.resolve()],
  ])('leaves the denial as it is by returning %s', async (_, onDenied) => {
    const denial = await shapedBy(onDenied);
    expect(denial).toMatchObject({ status: 401, reason: 'revoked' });
    expect(problemOf(denial).reason).toBe('revoked');
  });

  it('may give a text for a body, or leave everything as it is', async () => {
    const plain = { body: 'No.', headers: { 'content-type': 'text/plain; charset=utf-8' } };
    expect(await shapedBy(() => ({ body: 'No.' }))).toMatchObject(plain);
    const html = { body: '<h1>No</h1>', headers: { 'content-type': 'text/html' } };
    expect(await shapedBy(() => html)).toMatchObject(html);
    const json = { body: null, headers: {} };
    expect((await shapedBy(() => json)).headers['content-type']).toBe('application/problem+json');
    expect(problemOf(await shapedBy(async () => await Promise.resolve({}))).reason).toBe('revoked');
  });

  it.each<[string, GuardOptions['onDenied']]>([
    ['throws', () => { throw new Error('inside'); }], // prettier-ignore
    ['rejects', async () => await Promise.reject(new Error('inside'))],
    ['lets the request in', () => ({ status: 200 })],
    ['gives no status', () => ({ status: Number.NaN })],
    ['gives a status that is none', () => ({ status: 600 })],
    ['gives a header that ends early', () => ({ headers: { 'x-a': 'b\r\nx-c: d' } })],
    ['gives a name that is none', () => ({ headers: { 'x a': 'b' } })],
    ['gives a name that HTTP/2 has no place for', () => ({ headers: { 'Keep-Alive': 'timeout=5' } })],
    ['gives a length', () => ({ headers: { 'content-length': '0' } })],
    ['gives a header without a value', () => ({ headers: { 'x-a': undefined as unknown as string } })],
    ['gives a header with several values', () => ({ headers: { 'x-a': ['b', undefined] as unknown as string } })],
    ['gives a body that is no JSON', () => ({ body: 1n })],
    ['gives a body that JSON has nothing for', () => ({ body: () => 'text' })],
  ])('still denies, with a bare 500, if it %s', async (_, onDenied) => {
    const denial = await shapedBy(onDenied);
    expect(denial.status).toBe(500);
    expect(problemOf(denial).reason).toBe('internal_error');
    expect(denial.body).not.toContain('inside');
  });
});

describe('what differs for a route', () => {
  it('goes before the options of the guard', async () => {
    const guard = createGuard(saying(acme), { authorize: () => false });
    expect((await guard(withKey, { authorize: () => true })).allowed).toBe(true);
    expect((await guard(withKey, {})).allowed).toBe(false);
    expect(await guard(withoutKey, { optional: true, authorize: () => true })).toEqual({
      allowed: true,
      identity: null,
    });
  });

  it('never lifts a rule by undefined', async () => {
    const options = { authorize: () => false, optional: false, failOpen: false, maxAgeMs: 0 } as const;
    const verifier = saying(acme);
    const guard = createGuard(verifier, options);
    const nothing = { authorize: undefined, optional: undefined, failOpen: undefined, maxAgeMs: undefined };
    expect((await denied(guard(withKey, nothing as unknown as RouteOptions))).reason).toBe('not_allowed');
    expect(verifier.asked).toMatchObject([{ options: { failOpen: false, maxAgeMs: 0 } }]);
    expect((await denied(guard(withoutKey, nothing as unknown as RouteOptions))).reason).toBe('missing_key');
  });

  it('is read at the first request, and not checked again with each', async () => {
    const optional = vi.fn(() => true);
    const route = Object.defineProperty({}, 'optional', { get: optional, enumerable: true });
    const guard = createGuard(saying(acme));
    expect(await guard(withoutKey, route)).toEqual({ allowed: true, identity: null });
    const { length } = optional.mock.calls;
    expect(await guard(withoutKey, route)).toEqual({ allowed: true, identity: null });
    expect(optional).toHaveBeenCalledTimes(length);
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['a string for a boolean', { optional: 'false' }],
    ['an option that does not exist', { optinal: true }],
    ['an option of the guard', { keySources: ['bearer'] }],
    ['an age that is none', { maxAgeMs: -1 }],
  ])('denies for %s, and says so to the hook', async (_, route) => {
    const onDenied = vi.fn(() => undefined);
    const denial = await denied(createGuard(saying(acme), { onDenied })(withKey, route as RouteOptions));
    expect(denial.status).toBe(500);
    expect(onDenied).toHaveBeenCalledWith(expect.anything(), { error: expect.any(InvalidOptionsError) as Error });
  });
});

describe('an option that no route has', () => {
  it.each<[object, string]>([
    [{ keySources: ['bearer'] }, 'keySources: there is no such option of a route, set it where the guard is made'],
    [{ realm: 'api' }, 'realm: there is no such option of a route, set it where the guard is made'],
    [{ onDenied: () => undefined }, 'onDenied: there is no such option of a route, set it where the guard is made'],
    [{ scope: 'a' }, 'scope: there is no such option here, it is one of KeyVerifier'],
    [{ required: false }, 'required: there is no such option, did you mean optional: true?'],
    [{ myrealm: 'api' }, 'myrealm: there is no such option'],
    [{ myscope: 'a' }, 'myscope: there is no such option'],
    [{ unrequired: true }, 'unrequired: there is no such option'],
  ])('is named, and where it belongs: %o', async (route, issue) => {
    const onDenied = vi.fn(() => undefined);
    await createGuard(saying(acme), { onDenied })(withKey, route);
    const error = new InvalidOptionsError([issue]);
    expect(onDenied).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ status: 500 }), { error });
  });
});

describe('the options of a guard', () => {
  it('know all those of a verifier', () => {
    expectTypeOf<(typeof VERIFIER_OPTIONS)[number]>().toEqualTypeOf<
      Exclude<keyof KeyVerifierOptions, keyof GuardOptions>
    >();
  });

  it('refuse the method of a verifier in place of the verifier', () => {
    const verifier = new KeyVerifier({ verifyUrl: 'https://admin.test/verify', serviceToken: 'service-token' });
    for (const method of [Reflect.get(verifier, 'verify') as unknown, verifier.verify.bind(verifier)])
      expect(() => createGuard(method as never)).toThrow(
        new InvalidOptionsError(['verifier: got its method verify(): pass the verifier itself']),
      );
    const verify = (): DefaultVerifier => saying(acme);
    expect(() => createGuard(verify)).not.toThrow();
    const maker = (name: string) =>
      Object.defineProperties(() => saying(acme), { name: { value: name }, length: { value: 1 } });
    for (const name of ['verifyLater', 'reverify', 'bound reverify'])
      expect(() => createGuard(maker(name) as never)).not.toThrow();
  });

  it.each([{ headers: {} }, { req: { headers: {} } }])(
    'refuse the request %j, with which a framework calls what is passed to it',
    (request) => {
      expect(() => createGuard(request as never)).toThrow(
        new InvalidOptionsError([
          'verifier: got a request: write apiKeyAuth(verifier), not apiKeyAuth, as the handler',
        ]),
      );
      expect(() => createGuard({ ...request, ...saying(acme) })).not.toThrow();
    },
  );

  it('suggest `verifier` if it is misspelled', () => {
    expect(() => createGuard(undefined as never, { verfier: saying(acme) } as never)).toThrow(
      new InvalidOptionsError([
        'verifier: expected an object with verify(), or a function that returns one, got undefined',
        'verfier: there is no such option, did you mean verifier?',
      ]),
    );
    expect(() => createGuard(saying(acme), { verifier: 1 } as never)).toThrow(/verifier: there is no such option/);
  });

  const source = /keySources: expected an array of at least one 'bearer'/;
  const EACH = "'bearer', { header }, { query }, { cookie } or { subprotocol }";

  it.each<[string, unknown, RegExp]>([
    ['a name it does not know', { optinal: true }, /optinal: there is no such option, did you mean optional\?/],
    [
      'an option of the verifier',
      { scope: 'cust-A' },
      /scope: there is no such option here, it is one of KeyVerifier$/,
    ],
    ['another one', { cacheTtlMs: 1 }, /cacheTtlMs: there is no such option here, it is one of KeyVerifier$/],
    ['an age that is no number', { maxAgeMs: Number.NaN }, /maxAgeMs: expected a number of milliseconds, 0 or more/],
    ['an age below 0', { maxAgeMs: -1 }, /maxAgeMs: expected a number of milliseconds, 0 or more, got -1/],
    ['an age in words', { maxAgeMs: '0' }, /maxAgeMs: expected a number of milliseconds, 0 or more, got "0"/],
    ['a string for optional', { optional: 'false' }, /optional: expected true or false, got "false"/],
    ['a string for failOpen', { failOpen: 'false' }, /failOpen: expected true or false, got "false"/],
    ['null for authorize', { authorize: null }, /authorize: expected a function, got null/],
    ['an object for onDenied', { onDenied: {} }, /onDenied: expected a function/],
    ['a realm that ends its quotes', { realm: 'a", error="' }, /realm: expected printable ASCII/],
    ['a realm with a backslash', { realm: 'a\\b' }, /realm: expected printable ASCII/],
    ['a realm that is no text', { realm: 1 }, /realm: expected printable ASCII/],
    ['no place to look for a key in', { keySources: [] }, source],
    ['no place at all', { keySources: [] }, /got an empty array$/],
    [
      'a key that is not required',
      { required: false },
      /required: there is no such option, did you mean optional: true\?$/,
    ],
    [
      'a header beside keySources',
      { header: 'x-api-key' },
      /header: there is no such option, did you mean keySources: \[\{ header \}\]\?$/,
    ],
    ['a name that ends like a place', { myquery: 'key' }, /myquery: there is no such option$/],
    ['a place that is no array', { keySources: 'bearer' }, source],
  ])('are refused for %s', (_, options, message) => {
    expect(() => createGuard(saying(acme), options as GuardOptions)).toThrow(InvalidOptionsError);
    expect(() => createGuard(saying(acme), options as GuardOptions)).toThrow(message);
  });

  it.each<[unknown, string]>([
    ['basic', `keySources.0: expected ${EACH}, got a string of 5 characters`],
    ['Bearer', `keySources.0: expected ${EACH}, got a string of 6 characters, did you mean bearer?`],
    [
      'x-api-key',
      `keySources.0: expected ${EACH}, got a string of 9 characters, did you mean { header: 'x-api-key' }?`,
    ],
    ['Authorization', `keySources.0: expected ${EACH}, got a string of 13 characters, did you mean 'bearer'?`],
    ['x-0123456789abcdef', `keySources.0: expected ${EACH}, got a string of 18 characters`],
    ['header', `keySources.0: expected ${EACH}, got a string of 6 characters`],
    [{ headers: 'x-api-key' }, `keySources.0: expected ${EACH}, got { headers }, did you mean header?`],
    [{ place: 'x-api-key' }, `keySources.0: expected ${EACH}, got { place }`],
    [{ header: 'x-api-key', query: 'key' }, `keySources.0: expected ${EACH}, got { header, query }`],
    [{}, `keySources.0: expected ${EACH}, got an object`],
    [['bearer'], `keySources.0: expected ${EACH}, got an array`],
    [null, `keySources.0: expected ${EACH}, got null`],
    [{ cookie: '' }, 'keySources.0.cookie: expected a name, got an empty string'],
    [{ header: 7 }, 'keySources.0.header: expected a name, got 7'],
    [{ header: 'x api key' }, 'keySources.0.header: expected the name of a header, got a string of 9 characters'],
  ])('are refused for the key source %j', (source, issue) => {
    const keySources = [source, 'bearer', { query: 'key' }, source] as unknown as NonNullable<
      GuardOptions['keySources']
    >;
    const issues = [issue, issue.replace('keySources.0', 'keySources.3')];
    expect(() => createGuard(saying(acme), { keySources, realm: 'api' })).toThrow(new InvalidOptionsError(issues));
  });

  it.each<[NonNullable<GuardOptions['keySources']>, boolean]>([
    [['bearer', 'bearer'], true],
    [[{ header: 'X-Key' }, { header: 'x-key' }], true],
    [['bearer', { header: 'authorization' }], true],
    [[{ header: 'Authorization' }, 'bearer'], true],
    [[{ query: 'key' }, { query: 'key' }], true],
    [[{ cookie: 'key' }, { cookie: 'key' }], true],
    [[{ subprotocol: 'key.' }, { subprotocol: 'key.v1.' }], true],
    [[{ subprotocol: 'key.v1.' }, { subprotocol: 'key.' }], true],
    [[{ query: 'key' }, { query: 'Key' }], false],
    [[{ query: 'key' }, { query: 'key2' }], false],
    [[{ query: 'key' }, { cookie: 'key' }], false],
    [['bearer', { header: 'x-api-key' }], false],
  ])('are refused for one place twice: %j: %s', (keySources, refused) => {
    const build = () => createGuard(saying(acme), { keySources });
    const issues = ['keySources.1: the same place as keySources.0'];
    if (refused) expect(build).toThrow(new InvalidOptionsError(issues));
    else expect(build).not.toThrow();
  });

  it.each<[unknown, string]>([
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'an object'],
    [{ verify: true }, 'an object'],
    ['https://keys.test/verify', 'a string of 24 characters'],
    [{ verifyUrl: 'https://keys.test/' }, 'an object: write new KeyVerifier({ verifyUrl, serviceToken })'],
    [{ serviceToken: 'token' }, 'an object: write new KeyVerifier({ verifyUrl, serviceToken })'],
    [{ verifier: saying(acme) }, 'an object: pass the verifier itself'],
    [Promise.resolve(saying(acme)), 'an object: await the verifier first'],
  ])('are refused for %j in place of a verifier', (verifier, got) => {
    const issue = `verifier: expected an object with verify(), or a function that returns one, got ${got}`;
    expect(() => createGuard(verifier as DefaultVerifier)).toThrow(new InvalidOptionsError([issue]));
  });

  it('are refused for a class in place of one of its instances', () => {
    for (const verifier of [
      KeyVerifier,
      class Own {
        async verify() {
          return await Promise.resolve(acme);
        }
      },
    ])
      // prettier-ignore
      expect(() => createGuard(verifier as unknown as DefaultVerifier, { realm: '"' })).toThrow(
        new RegExp(`verifier: expected an instance, got the class: write new ${verifier.name}\\(\\.{3}\\)[^]*realm: `),
      );
  });

  it('are refused with every mistake at once', () => {
    const options = { optinal: true, realm: '"' } as unknown as GuardOptions;
    expect(() => createGuard(null as unknown as DefaultVerifier, options)).toThrow(
      /verifier: [^]*realm: [^]*optinal: /,
    );
  });

  it('may each be undefined', async () => {
    const options = { optional: undefined, authorize: undefined, keySources: undefined, realm: undefined };
    const guard = createGuard(saying(acme), options);
    expect(await guard(withKey)).toEqual({ allowed: true, identity: acme });
    expect((await denied(guard(withoutKey))).headers['www-authenticate']).toBe('Bearer realm="api"');
  });
});

describe('a caller who has left', () => {
  const leaving = () => {
    const left = new AbortController();
    const verifier = {
      verify: async (_: string, { signal }: VerifyOptions) =>
        await new Promise<never>((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    };
    return { left, verifier, request: { ...withKey, signal: () => left.signal } };
  };

  it('is neither a denial nor an error: no hook is called', async () => {
    const { left, verifier, request } = leaving();
    const onDenied = vi.fn();
    const decision = createGuard(verifier, { onDenied })(request);
    left.abort();
    expect(await denied(decision)).toMatchObject({ status: 499, reason: 'aborted' });
    expect(onDenied).not.toHaveBeenCalled();
  });

  it('is not admitted on an optional route either', async () => {
    const { left, verifier, request } = leaving();
    const decision = createGuard(verifier, { optional: true })(request);
    left.abort();
    expect((await denied(decision)).status).toBe(499);
  });

  it('is not asked about if they left before the request, whatever the verifier', async () => {
    const verifiers = [saying(acme), new KeyVerifier({ verifyUrl: 'http://127.0.0.1:1/', serviceToken: 'token' })];
    for (const verifier of verifiers) {
      const request = { ...withKey, signal: () => AbortSignal.abort() };
      expect(await denied(createGuard(verifier)(request))).toMatchObject({ status: 499, reason: 'aborted' });
      if (verifier instanceof KeyVerifier) expect(verifier.stats()).toMatchObject({ requests: 0 });
      else expect(verifier.asked).toEqual([]);
    }
  });

  it.each<[string, () => AbortSignal]>([
    ['is none', (): never => undefined as never],
    ['throws', () => { throw new Error('inside'); }], // prettier-ignore
  ])('is not taken for one by a signal that %s, where authorize throws', async (_, signal) => {
    const authorize = (): never => { throw new Error('inside'); }; // prettier-ignore
    const guard = createGuard(saying(acme), { optional: true, authorize });
    expect(await denied(guard({ ...withoutKey, signal }))).toMatchObject({ status: 500, reason: 'internal_error' });
  });

  it('does not hide an error of the verifier from those who stay', async () => {
    const onDenied = vi.fn();
    const error = new Error('inside');
    const request = { ...withKey, signal: () => new AbortController().signal };
    expect((await denied(createGuard(saying(error), { onDenied })(request))).status).toBe(500);
    expect(onDenied).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ status: 500 }), { error });
  });
});
