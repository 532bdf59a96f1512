import { describe, expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { clerk, defineProtocol, introspection, unkey, workos, type ProtocolDefinition } from 'keyverify/protocols';
import { startKeyServer, type KeyRecord, type KeyServerOptions } from 'keyverify/testing';

import { brief } from '../helpers/rig.js';

const TOKEN = 'tok-0123456789';
const EXPIRY = Date.parse('2099-01-01T00:00:00Z');
const ACME: KeyRecord = { client: 'acme', tenant: 'acme', keyId: 'k-1', expiresAt: EXPIRY, claims: { plan: 'pro' } };
const VERDICT = {
  flag: 'ok',
  client: 'owner.id',
  tenant: 'owner.org',
  keyId: 'id',
  expires: { at: 'ends', unit: 'iso' },
} as const;

async function setUp(server: KeyServerOptions, options: KeyVerifierOptions = {}) {
  const needsToken = server.protocol?.serviceToken === undefined;
  const keyServer = await startKeyServer({
    ...(needsToken && { serviceTokens: [TOKEN] }),
    keys: { 'sk-1': ACME, 'sk-2': { ...ACME, reason: 'revoked' } },
    ...server,
  });
  const verifier = new KeyVerifier({
    verifyUrl: keyServer.verifyUrl,
    serviceToken: needsToken ? TOKEN : undefined,
    protocol: server.protocol,
    retries: 0,
    logger: { warn: () => undefined },
    ...options,
  });
  onTestFinished(async () => {
    await verifier.close();
    await keyServer.close();
  });
  return { keyServer, verifier };
}

const defined = (definition: Partial<ProtocolDefinition>) => defineProtocol({ verdict: VERDICT, ...definition });

const PROTOCOLS = {
  'JSON and a header': defined({
    auth: { header: 'X-Internal-Secret', prefix: 's ' },
    key: { in: 'json', name: 'a.key', prefix: 'k:' },
  }),
  'a form and a field': defined({ auth: { field: 'secret' }, key: { in: 'form', name: 'key' } }),
  'a GET with a header': defined({ method: 'GET', key: { in: 'header', name: 'X-Key', prefix: 'Bearer ' } }),
  'a GET with a query': defined({ method: 'GET', key: { in: 'query', name: 'k' }, dangerouslyAllowKeyInQuery: true }),
  'a hash and Basic': defined({
    auth: 'basic',
    serviceToken: 'user:password',
    key: { in: 'json', name: 'hash', as: 'sha256-hex' },
  }),
  'no service token': defined({ auth: 'none' }),
  'epoch seconds': defined({ verdict: { ...VERDICT, expires: { at: 'ends', unit: 's' } } }),
  'epoch milliseconds': defined({ verdict: { ...VERDICT, expires: { at: 'ends', unit: 'ms' } }, accepts: [201] }),
  'an identity': defined({
    verdict: {
      identity: 'owner',
      client: 'owner.id',
      tenant: 'owner.org',
      keyId: 'id',
      expires: { at: 'ends', unit: 'iso' },
      claims: 'owner',
    },
  }),
  'a status': defined({
    verdict: { ...VERDICT, flag: undefined, identity: '.' },
    rejects: [{ status: 404, ambiguous: true }],
  }),
  introspection: introspection({ clientId: 'us', clientSecret: 'p@ss', tenant: 'org_id' }),
  'introspection by post': introspection({ clientId: 'us', clientSecret: 'p@ss', tenant: 'org_id', auth: 'post' }),
  unkey: unkey({ tenant: 'data.meta.tenant' }),
  workos: workos(),
  clerk: clerk(),
};

describe.each(Object.entries(PROTOCOLS))('a key server that speaks a protocol with %s', (_, protocol) => {
  test('knows good keys from bad ones', async () => {
    const { keyServer, verifier } = await setUp({ protocol });
    expect(await verifier.verify('sk-1')).toMatchObject({
      status: 'verified',
      client: 'acme',
      tenant: 'acme',
      keyId: 'k-1',
      expiresAt: EXPIRY,
    });
    for (const key of ['sk-2', 'sk-3']) expect(brief(await verifier.verify(key))).toContain('rejected server');
    expect([keyServer.asked('sk-1'), keyServer.asked('sk-2')]).toEqual([1, 1]);
    keyServer.injectFault({ kind: 'status', status: 503 });
    expect(brief(await verifier.verify('sk-4'))).toBe('closed server_error');
  });

  test('keeps neither keys nor tokens in its log', async () => {
    const { keyServer, verifier } = await setUp({ protocol });
    await verifier.verify('sk-1');
    const log = JSON.stringify(keyServer.requests);
    for (const secret of ['sk-1', TOKEN, 'password', 'p@ss']) expect(log).not.toContain(secret);
  });
});

describe('a key server that speaks a protocol', () => {
  test.each(Object.entries(PROTOCOLS).filter(([, { serviceToken }]) => serviceToken !== false))(
    'with %s refuses another service token',
    async (_, protocol) => {
      const { verifier } = await setUp({ protocol, serviceTokens: ['another'] });
      expect(brief(await verifier.verify('sk-1'))).toBe('closed misconfigured');
    },
  );

  test('names its reasons, and has claims', async () => {
    const verdict = { ...VERDICT, reason: 'why', reasons: { GONE: 'revoked' } };
    const { verifier } = await setUp({ protocol: defined({ verdict }) });
    expect(brief(await verifier.verify('sk-2'))).toBe('rejected server revoked');
    expect(brief(await verifier.verify('sk-3'))).toBe('rejected server unknown_key');
    expect(await verifier.verify('sk-1')).toMatchObject({
      claims: { plan: 'pro', owner: { id: 'acme', org: 'acme' } },
    });
  });

  test.each([
    ['unkey', { 'sk-2': 'rejected server revoked', 'sk-3': 'rejected server unknown_key' }],
    ['clerk', { 'sk-2': 'rejected server revoked', 'sk-3': 'rejected server unknown_key' }],
  ] as const)('has the reasons of %s', async (name, reasons) => {
    const { verifier } = await setUp({ protocol: PROTOCOLS[name] });
    for (const [key, reason] of Object.entries(reasons)) expect(brief(await verifier.verify(key))).toBe(reason);
  });

  test('enforces the scope that is sent', async () => {
    const { verifier } = await setUp(
      { protocol: defined({ scope: { name: 'tenant' }, verdict: { ...VERDICT, reason: 'why' } }) },
      { scope: 'other' },
    );
    expect(brief(await verifier.verify('sk-1'))).toBe('rejected server scope_mismatch');
  });

  test.each<[string, Partial<ProtocolDefinition>, RequestInit]>([
    ['JSON of a key that is no text', {}, { method: 'POST', body: '{"key":7}' }],
    ['JSON that is broken', {}, { method: 'POST', body: '{' }],
    ['JSON of a scope that is no text', { scope: { name: 's' } }, { method: 'POST', body: '{"key":"sk-1","s":7}' }],
    ['a form without a key', { key: { in: 'form', name: 'k' } }, { method: 'POST', body: 'a=b' }],
    ['a query without a key', { method: 'GET', key: { in: 'query', name: 'k' }, dangerouslyAllowKeyInQuery: true }, {}],
    [
      'a key without its prefix',
      { method: 'GET', key: { in: 'header', name: 'k', prefix: 'x-' } },
      { headers: { k: 'sk-1' } },
    ],
  ])('refuses %s', async (_, definition, init) => {
    const { keyServer } = await setUp({ protocol: defined({ auth: 'none', ...definition }) });
    expect((await fetch(keyServer.verifyUrl, init)).status).toBe(400);
  });

  test('refuses another method, and credentials that are missing', async () => {
    const { keyServer } = await setUp({ protocol: PROTOCOLS['a hash and Basic'] });
    const other = await fetch(keyServer.verifyUrl);
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await fetch(keyServer.verifyUrl, { method: 'POST', body: '{}' })).status).toBe(401);
  });

  test('refuses a record of two owners where the protocol reads one', async () => {
    const protocol = defined({ verdict: { flag: 'ok', client: 'user', tenant: 'user' } });
    const wrong = { client: 'acme', tenant: 'cust-A' };
    const issue = 'tenant: expected the same text as client, since the protocol reads both from user';
    await expect(startKeyServer({ protocol, keys: { 'sk-1': ACME, 'sk-2': wrong } })).rejects.toThrow(
      new InvalidOptionsError([`keys, record 2: ${issue}`]),
    );
    const { keyServer } = await setUp({ protocol });
    expect(() => keyServer.issue('sk-3', wrong)).toThrow(new InvalidOptionsError([`the record: ${issue}`]));
  });

  test('knows keys that never end and have no id', async () => {
    const { verifier } = await setUp({ protocol: workos(), keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
    const result = await verifier.verify('sk-1');
    expect(result).toMatchObject({ client: 'acme', tenant: 'cust-A' });
    for (const field of ['keyId', 'expiresAt']) expect(result).not.toHaveProperty(field);
  });

  test.each<[string, Partial<ProtocolDefinition>]>([
    ['rejected', { verdict: { ...VERDICT, flag: undefined, identity: '.' } }],
    ['valid', { verdict: { ...VERDICT, flag: '.' } }],
    ['valid', { name: 'unkey', verdict: { ...VERDICT, reason: 'data' } }],
  ])('cannot write a %s key as %o', async (kind, definition) => {
    await expect(startKeyServer({ protocol: defined(definition) })).rejects.toThrow(`writes a ${kind} key`);
  });

  test('has what functions pick written by a function', async () => {
    const verdict = { ...VERDICT, flag: (json: unknown) => (json as { state: string }).state === 'live' };
    const protocol = defined({ verdict });
    await expect(startKeyServer({ protocol })).rejects.toThrow(InvalidOptionsError);
    const { verifier } = await setUp({
      protocol,
      respond: (finding, { status, json }) => ({
        status,
        json: { ...(json as object), state: typeof finding === 'string' ? finding : 'live' },
      }),
    });
    expect(brief(await verifier.verify('sk-1'))).toBe('valid server');
    expect(brief(await verifier.verify('sk-2'))).toBe('rejected server rejected');
  });

  test('has a verdict that a function reads written by a function', async () => {
    const protocol = defined({
      verdict: (json) =>
        (json as unknown[]).length > 0 ? { kind: 'verified', client: 'a', tenant: 'b' } : { kind: 'rejected' },
    });
    await expect(startKeyServer({ protocol })).rejects.toThrow(
      'respond: expected a function that writes a valid key as the protocol reads it',
    );
    const { verifier } = await setUp({
      protocol,
      respond: (finding) => ({ status: 200, json: typeof finding === 'string' ? [] : [1] }),
    });
    expect(brief(await verifier.verify('sk-1'))).toBe('valid server');
  });
});
