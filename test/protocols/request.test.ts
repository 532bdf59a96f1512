import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { KeyVerifier, VERSION } from 'keyverify';
import { defineProtocol, type ProtocolDefinition, type RequestDraft } from 'keyverify/protocols';

import { serve } from '../helpers/http.js';
import { brief } from '../helpers/rig.js';

const KEY = 'sk-1/"é&=+~!';
const TOKEN = 'user:p%40ss+word%21';
const URL = 'https://admin.test/verify?v=1';
const VERDICT = { flag: 'valid', client: 'client', tenant: 'tenant' };
const SHA = createHash('sha256').update(KEY).digest();

type Parts = Omit<ProtocolDefinition, 'verdict'>;
const encode = async (parts: Parts, scope?: string, key = KEY) =>
  await defineProtocol({ verdict: VERDICT, ...parts }).encode({ url: URL, key, token: TOKEN, scope });
const body = async (parts: Parts, scope?: string): Promise<unknown> =>
  JSON.parse(String((await encode(parts, scope)).body));

describe('the key', () => {
  test('goes into a field of a JSON body, however deep', async () => {
    expect(await body({ key: { in: 'json', name: 'apiKey' } })).toEqual({ apiKey: KEY });
    expect(
      await body({ key: { in: 'json', name: 'data.key', prefix: 'k:' }, body: { data: { a: 1 }, b: [2] } }),
    ).toEqual({
      data: { a: 1, key: `k:${KEY}` },
      b: [2],
    });
    expect(await body({ key: { in: 'json', name: 'data.key' }, body: { data: [1] } })).toEqual({ data: { key: KEY } });
  });

  test('goes into a form, encoded as a form is', async () => {
    const request = await encode({ key: { in: 'form', name: 'to ken' }, body: { hint: 'a b', n: 1, yes: true } });
    expect(request.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect([...new URLSearchParams(request.body)]).toEqual([
      ['hint', 'a b'],
      ['n', '1'],
      ['yes', 'true'],
      ['to ken', KEY],
    ]);
    expect(request.body).toBe(new URLSearchParams(request.body).toString());
  });

  test('goes into a header', async () => {
    const request = await encode(
      { method: 'GET', key: { in: 'header', name: 'Authorization', prefix: 'Bearer ' } },
      undefined,
      'sk-1',
    );
    expect(request).toMatchObject({ method: 'GET', body: undefined, headers: { authorization: 'Bearer sk-1' } });
    expect(request.headers).not.toHaveProperty('content-type');
  });

  test('goes into the query, where that is allowed', async () => {
    const key = { in: 'query', name: 'k' } as const;
    const request = await encode({ method: 'GET', key, dangerouslyAllowKeyInQuery: true, scope: { name: 's' } }, 'a&b');
    const { searchParams } = new globalThis.URL(request.url);
    expect([...searchParams]).toEqual([['v', '1'], ['k', KEY], ['s', 'a&b']]); // prettier-ignore
    const protocol = defineProtocol({ method: 'GET', key, dangerouslyAllowKeyInQuery: true, verdict: VERDICT });
    const plain = await protocol.encode({ url: 'https://admin.test/', key: 'sk', token: '', scope: undefined });
    expect(plain.url).toBe('https://admin.test/?k=sk');
  });

  test('goes as its hash, which is then as secret as the key', async () => {
    const request = await encode({ key: { in: 'json', name: 'key_hash', as: 'sha256-hex' } });
    expect(request.body).toBe(`{"key_hash":"${SHA.toString('hex')}"}`);
    const forms = [
      SHA.toString('hex'),
      SHA.toString('hex').toUpperCase(),
      SHA.toString('base64'),
      SHA.toString('base64url'),
    ];
    for (const form of forms) expect(request.secrets?.some((secret) => form.includes(secret))).toBe(true);
  });

  test('is not sent in a header that cannot take it: it is malformed, and nobody else is to blame', async () => {
    const server = await serve((response) => response.end());
    const protocol = defineProtocol({
      auth: 'none',
      key: { in: 'header', name: 'x-key' },
      admits: (key) => !key.startsWith('no'),
      verdict: VERDICT,
    });
    const verifier = new KeyVerifier({ verifyUrl: server.origin, protocol, keyFormat: /^[^-]*$/ });
    for (const key of ['kéy', 'no', 'a-b'])
      expect(brief(await verifier.verify(key))).toBe('rejected local malformed_key');
    expect(server.heard).toEqual([]);
    expect(
      defineProtocol({ key: { in: 'header', name: 'x-key', as: 'sha256-hex' }, verdict: VERDICT }).admits('kéy'),
    ).toBe(true);
  });
});

describe('the service token', () => {
  test('goes into a header, by default one of ours', async () => {
    expect((await encode({})).headers).toMatchObject({ 'x-service-token': TOKEN });
    const { headers } = await encode({ auth: { header: 'Authorization', prefix: 'Bearer ' } });
    expect(headers).toMatchObject({ authorization: `Bearer ${TOKEN}` });
    expect(headers).not.toHaveProperty('x-service-token');
  });

  test('goes into a field of the body', async () => {
    expect(await body({ auth: { field: 'auth.secret' } })).toEqual({ key: KEY, auth: { secret: TOKEN } });
  });

  test('goes as Basic credentials, whose password is secret in each of its forms', async () => {
    const request = await encode({ auth: 'basic' });
    const encoded = Buffer.from(TOKEN).toString('base64');
    expect(request.headers['authorization']).toBe(`Basic ${encoded}`);
    for (const form of [encoded, 'p%40ss+word%21', 'p@ss word!'])
      expect(request.secrets?.some((secret) => form.includes(secret))).toBe(true);
    const odd = await defineProtocol({ auth: 'basic', verdict: VERDICT }).encode({
      url: URL,
      key: KEY,
      token: 'a:100%',
      scope: undefined,
    });
    expect(odd.secrets).toEqual([Buffer.from('a:100%').toString('base64').replaceAll('=', ''), '100%']);
  });

  test('is not sent where there is none', async () => {
    expect(Object.values((await encode({ auth: 'none' })).headers).join()).not.toContain(TOKEN);
  });
});

test('the scope goes beside the key', async () => {
  expect(await body({ scope: { name: 'customer.id' } }, 'cust-A')).toEqual({ key: KEY, customer: { id: 'cust-A' } });
  expect(await body({ scope: { name: 'customer' } })).toEqual({ key: KEY });
  expect(await body({ scope: 'enforce-locally' }, 'cust-A')).toEqual({ key: KEY });
  const form = { key: { in: 'form', name: 'k' }, scope: { name: 's' } } as const;
  expect((await encode(form, 'a b', 'sk')).body).toBe('k=sk&s=a+b');
  expect((await encode(form, undefined, 'sk')).body).toBe('k=sk');
});

test('headers are sent as they are, in place of ours where they have the same name', async () => {
  const { headers } = await encode({ headers: { 'X-Version': '2', Accept: 'application/vnd.api+json' } });
  expect(headers).toMatchObject({
    'x-version': '2',
    accept: 'application/vnd.api+json',
    'user-agent': `keyverify/${VERSION}`,
  });
});

describe('a signature', () => {
  const sign: NonNullable<Parts['sign']> = (draft) => ({
    ...draft,
    headers: { ...draft.headers, 'x-signature': `s(${draft.body ?? ''})` },
  });

  test('is made of the request', async () => {
    const signed = { url: URL, body: '{"key":"sk-1"}', headers: { 'x-signature': 's({"key":"sk-1"})' } };
    expect(await encode({ sign }, undefined, 'sk-1')).toMatchObject(signed);
    const later = { sign: async (draft: RequestDraft) => await Promise.resolve(sign(draft)) };
    expect(await encode(later, undefined, 'sk-1')).toMatchObject(signed);
  });

  test.each([
    ['no request', undefined],
    ['another origin', { url: 'https://elsewhere.test/verify' }],
    ['another origin', { url: 'nowhere' }],
    ['another method', { method: 'GET' }],
    ['a header that cannot be sent', { headers: { a: 'line\nbreak' } }],
    ['a header that cannot be sent', { headers: { a: 7 } }],
    ['a body that is not text', { body: 7 }],
  ])('must not be %s: %o', async (what, signed) => {
    await expect(async () => await encode({ sign: () => signed as never })).rejects.toThrow(`sign() returned ${what}`);
  });

  test('that fails is our own mistake, and tells no secret', async () => {
    const protocol = defineProtocol({
      auth: 'none',
      sign: () => expect.fail('no key for sk-good-0123456789'),
      verdict: VERDICT,
    });
    const verifier = new KeyVerifier({ verifyUrl: 'http://127.0.0.1:1', protocol, logger: { warn: () => undefined } });
    const result = await verifier.verify('sk-good-0123456789');
    expect(result).toMatchObject({
      status: 'failed-closed',
      failure: { kind: 'misconfigured', attempts: 0, cause: { message: 'no key for [redacted]' } },
    });
  });
});
