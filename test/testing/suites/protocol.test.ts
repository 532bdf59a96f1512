import { AssertionError } from 'node:assert';

import { describe, expect, it, test } from 'vitest';

import type { ProtocolAnswer, WireProtocol } from 'keyverify';
import { defineProtocol } from 'keyverify/protocols';
import { protocolCases, type ProtocolUnderTest } from 'keyverify/testing';

import { defaultProtocol } from '../../../src/protocol/default.js';
import { failing } from './run.js';

const contract = (protocol: Partial<WireProtocol> = {}): ProtocolUnderTest => ({
  protocol: { ...defaultProtocol, ...protocol },
  verified: (client) => ({ status: 200, body: JSON.stringify({ valid: true, client, tenant: 'cust-A', plan: 'pro' }) }),
  rejected: { status: 200, body: '{"valid":false,"reason":"revoked"}' },
});

describe('the default protocol', () => {
  test.each(protocolCases(contract()))('$name', async ({ run }) => await run());
});

describe('the suite for protocols', () => {
  const encode: WireProtocol['encode'] = (question) => defaultProtocol.encode(question);
  const decode: WireProtocol['decode'] = (response, context) => defaultProtocol.decode(response, context);
  const valid = (client: string, tenant = 'cust-A'): ProtocolAnswer => ({ kind: 'verified', client, tenant });
  const refusal = (reason: string): ProtocolAnswer => ({ kind: 'rejected', reason });
  const clientOf = (body: Uint8Array): string => /"client":"([^"]*)"/.exec(Buffer.from(body).toString())?.[1] ?? '';

  it.each<[string, Partial<WireProtocol>, RegExp[]]>([
    [
      'puts the key into the URL',
      { encode: async (question) => ({ ...(await encode(question)), url: `https://keys.test/${question.key}` }) },
      [/URL/],
    ],
    ['sends no key', { encode: async (question) => ({ ...(await encode(question)), body: '' }) }, [/URL/]],
    ['sends no token', { encode: (question) => encode({ ...question, token: '' }) }, [/URL/]],
    [
      'asks for no body',
      { encode: async (question) => ({ ...(await encode(question)), needsBody: () => false }) },
      [/asks for the body/],
    ],
    ['verifies everything', { decode: ({ body }) => valid(clientOf(body)) }, [/rejected key/, /not list/, /401/]],
    ['rejects everything', { decode: () => refusal('no') }, [/valid key/, /429/, /cannot read/, /401/]],
    [
      'looks at the status too late',
      {
        decode: (response, context) => {
          const decoded = decode({ ...response, status: 200 }, context);
          return 'failure' in decoded && response.status !== 200 ? decode(response, context) : decoded;
        },
      },
      [/429/, /not list/],
    ],
    [
      'takes rubbish for a rejection',
      {
        decode: (response, context) => {
          const decoded = decode(response, context);
          return 'failure' in decoded && response.status === 200 ? refusal('rubbish') : decoded;
        },
      },
      [/cannot read/],
    ],
    [
      'does not renew its token',
      {
        decode: (response, context) =>
          decode(response.status === 401 ? { ...response, status: 403 } : response, context),
      },
      [/401/],
    ],
    [
      'gives no tenant',
      {
        decode: (response, context) => {
          const decoded = decode(response, context);
          if ('failure' in decoded) return decoded;
          return decoded.kind === 'verified' ? valid(decoded.client, '') : decoded;
        },
      },
      [/valid key/],
    ],
  ])('fails a protocol that %s', async (_, protocol, names) => {
    const failed = await failing(protocolCases(contract(protocol)));
    expect(failed).toEqual(names.map((name): unknown => expect.stringMatching(name)));
  });

  const messageOf = async (protocol: object, name: RegExp): Promise<string> => {
    const one = protocolCases(contract(protocol)).find((each) => name.test(each.name));
    return await (one?.run() ?? Promise.resolve()).then(
      () => 'none',
      (error: unknown) => (error instanceof AssertionError ? error.message : 'not an assertion'),
    );
  };

  const SERVICE_TOKEN = 'serviceToken: expected printable ASCII, a function that returns it, or false';
  it.each<[string, object]>([
    [`scope: expected 'sent' or 'compared', got "sendt"`, { scope: 'sendt' }],
    ['admit: there is no such field, did you mean admits?', { admit: () => false }],
    ['admits: expected a function, got true', { admits: true }],
    ['url: expected a string that is not empty, got an object', { url: new URL('https://keys.test/') }],
    [`${SERVICE_TOKEN}, got a string of 2 characters, with a line break`, { serviceToken: 'x\n' }],
    [`${SERVICE_TOKEN}, got true`, { serviceToken: true }],
    ['ignoreCacheControl: expected true or false, got 1', { ignoreCacheControl: 1 }],
    [
      `url: expected a string that is not empty, got 5; scope: expected 'sent' or 'compared', got null`,
      { url: 5, scope: null },
    ],
    [
      'none',
      { serviceToken: false, scope: 'compared', ignoreCacheControl: true, admits: () => true, url: 'https://a' },
    ],
    ['none', { serviceToken: () => 'x', helper: () => 1 }],
  ])('says of a field without effect: %s', async (message, fields) => {
    expect(await messageOf(fields, /no effect/)).toBe(message);
  });

  it('finds a misspelled method of a class, and none in what defineProtocol() makes', async () => {
    class Base {
      readonly encode = encode;
      readonly decode = decode;
      servicetoken = 'x';
    }
    class Own extends Base {
      admit = (): boolean => true;
    }
    const [fields] = protocolCases({ ...contract(), protocol: new Own() });
    await expect(fields?.run()).rejects.toThrow(
      'servicetoken: there is no such field, did you mean serviceToken?; ' +
        'admit: there is no such field, did you mean admits?',
    );
    const defined = defineProtocol({
      verdict: { flag: 'valid', client: 'client', tenant: 'tenant', reason: 'reason' },
    });
    expect(await failing(protocolCases({ ...contract(), protocol: defined }))).toEqual([]);
  });

  const request = { url: 'https://keys.test/', method: 'POST', headers: {}, body: undefined, needsBody: () => true };
  const returning = (changes: object) => ({ encode: () => ({ ...request, ...changes }) });
  const throwing = (error: unknown) => (): never => {
    throw error;
  };

  it.each<[string, object]>([
    ['encode() threw: broken', { encode: throwing(new Error('broken')) }],
    ['encode() threw: late', { encode: async () => await Promise.reject(new Error('late')) }],
    ['encode() returned undefined', { encode: () => undefined }],
    ['encode() returned url: expected an absolute URL, got a string of 7 characters', returning({ url: '/verify' })],
    ['encode() returned url: expected an absolute URL, got an object', returning({ url: new URL('https://a/') })],
    ['encode() returned method: expected a string that is not empty, got undefined', returning({ method: undefined })],
    ['encode() returned headers: expected an object of strings, got an object', returning({ headers: new Headers() })],
    ['encode() returned headers: expected an object of strings, got undefined', returning({ headers: undefined })],
    ['encode() returned headers: "x a" is not the name of a header', returning({ headers: { 'x a': '1' } })],
    [
      'encode() returned headers.x-a: expected a string of printable ASCII, got a string of 3 characters, with a line break',
      returning({ headers: { 'x-b': '', 'x-c': 'c', 'x-a': 'a\nb' } }),
    ],
    ['encode() returned body: expected a string, or undefined, got an object', returning({ body: { key: 'x' } })],
    ['encode() returned needsBody: expected a function, got undefined', returning({ needsBody: undefined })],
    ['the key is not sent', returning({})],
  ])('says what is wrong with a request: %s', async (message, protocol) => {
    expect(await messageOf(protocol, /sends the key/)).toBe(message);
  });

  const GOOD = { kind: 'verified', client: 'acme', tenant: 'cust-A' };
  it.each<[string, () => unknown]>([
    ['decode() threw: broken', throwing(new Error('broken'))],
    ['decode() returned undefined', () => undefined],
    ['decode() returned a promise, and has to be synchronous', async () => await Promise.resolve(GOOD)],
    [
      'decode() returned expires_at: there is no such field, but expiresAt',
      () => ({ ...GOOD, expires_at: Date.parse('2020-01-01') }),
    ],
    [
      "decode() returned failure.kind: expected 'server_error', 'rate_limited', 'misconfigured' or 'invalid_response', got undefined",
      () => ({ failure: { message: 'no' } }),
    ],
    ['it is not verified, but rejected', () => refusal('no')],
    [
      'it is not verified: the database is down',
      () => ({ failure: { kind: 'server_error', message: 'the database is down' } }),
    ],
  ])('says what is wrong with an answer: %s', async (message, decode) => {
    expect(await messageOf({ decode }, /verdict on a valid key/)).toBe(message);
  });

  it('lets no answer be late that would reject where nobody waits for it', async () => {
    const late = { decode: async () => await Promise.reject(new Error('late')) };
    for (const name of [/429/, /not list/, /cannot read/, /401/])
      expect(await messageOf(late, name)).toBe('decode() returned a promise, and has to be synchronous');
  });

  it('lets a protocol throw at what is no verdict', async () => {
    const protocol: WireProtocol = {
      ...defaultProtocol,
      decode(response, context) {
        const decoded = decode(response, context);
        if ('failure' in decoded && response.status !== 401) throw new Error('no verdict');
        return decoded;
      },
    };
    expect(await failing(protocolCases(contract(protocol)))).toEqual([]);
  });

  it('wants no token of a protocol that sends none', async () => {
    const tokenless = contract({ encode: (question) => encode({ ...question, token: '' }) });
    expect(await failing(protocolCases({ ...tokenless, sendsToken: false }))).toEqual([]);
    expect(await failing(protocolCases({ ...contract(), sendsToken: false }))).toHaveLength(1);
  });
});
