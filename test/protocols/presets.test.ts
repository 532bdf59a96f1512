import { describe, expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier, type VerifyResult, type WireProtocol } from 'keyverify';
import { clerk, introspection, unkey, workos } from 'keyverify/protocols';

import { serve } from '../helpers/http.js';
import { brief } from '../helpers/rig.js';

// Servers written from the published specifications of each service: its statuses, codes and errors.

const TOKEN = 'root-0123456789abcdef';
const KEY = 'key-0123456789abcdef';
const FUTURE = Date.parse('2099-01-01T00:00:00Z');

interface Reply {
  readonly status?: number;
  readonly json: unknown;
}

async function setUp(
  protocol: WireProtocol,
  reply: Reply | ((body: string) => Reply),
  serviceToken?: string,
  scope?: string,
) {
  const server = await serve((response, request) => {
    const bearer = request.headers.authorization;
    const { body = '' } = server.heard.at(-1) ?? {};
    const accepted = serviceToken === undefined || bearer === `Bearer ${TOKEN}`;
    const { status = 200, json } = accepted
      ? typeof reply === 'function'
        ? reply(body)
        : reply
      : { status: 401, json: {} };
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(json));
  });
  const verifier = new KeyVerifier({
    verifyUrl: server.origin,
    serviceToken,
    protocol,
    scope,
    retries: 0,
    logger: { warn: () => undefined },
  });
  onTestFinished(async () => await verifier.close());
  return { server, verify: async (key = KEY): Promise<VerifyResult<unknown, boolean>> => await verifier.verify(key) };
}

describe('unkey', () => {
  const protocol = unkey({
    tenant: 'data.meta.tenant',
    permissions: 'docs.read',
    tags: ['path=/v1'],
    credits: { cost: 2 },
  });
  const good = {
    valid: true,
    code: 'VALID',
    keyId: 'key_1',
    name: 'one',
    meta: { tenant: 'cust-A' },
    expires: FUTURE,
    credits: 98,
    enabled: true,
    permissions: ['docs.read'],
    roles: [],
    identity: { id: 'id_1', externalId: 'acme' },
    ratelimits: [],
  };
  const ask = async (data: unknown, status = 200, serviceToken = TOKEN) =>
    await (await setUp(protocol, { status, json: { meta: { requestId: 'req_1' }, data } }, serviceToken)).verify();

  test('asks as API v2 wants it, without a field that it would refuse', async () => {
    const { server, verify } = await setUp(protocol, { json: { data: good } }, TOKEN, 'cust-A');
    expect(brief(await verify())).toBe('valid server');
    expect(server.heard[0]).toMatchObject({ method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } });
    expect(JSON.parse(server.heard[0]?.body ?? '')).toEqual({
      key: KEY,
      permissions: 'docs.read',
      tags: ['path=/v1'],
      credits: { cost: 2 },
    });
    expect(protocol.url).toBe('https://api.unkey.com/v2/keys.verifyKey');
    const plain = await unkey({ tenant: 'data.meta.tenant' }).encode({
      url: '',
      key: KEY,
      token: TOKEN,
      scope: 'cust-A',
    });
    expect(plain.body).toBe(`{"key":"${KEY}"}`);
  });

  test('verifies by VALID, with the external id as client', async () => {
    expect(await ask(good)).toMatchObject({
      status: 'verified',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'key_1',
      expiresAt: FUTURE,
      claims: { name: 'one', permissions: ['docs.read'], credits: 98 },
    });
    const byKey = unkey({ tenant: () => 'cust-A', client: 'data.keyId' });
    expect(await (await setUp(byKey, { json: { data: good } }, TOKEN)).verify()).toMatchObject({
      client: 'key_1',
      tenant: 'cust-A',
    });
  });

  test.each([
    ['NOT_FOUND', 'unknown_key'],
    ['FORBIDDEN', 'forbidden'],
    ['INSUFFICIENT_PERMISSIONS', 'insufficient_permissions'],
    ['USAGE_EXCEEDED', 'usage_exceeded'],
    ['RATE_LIMITED', 'rate_limited'],
    ['DISABLED', 'disabled'],
    ['EXPIRED', 'expired'],
  ])('rejects by %s, as %s', async (code, reason) => {
    expect(brief(await ask({ ...good, valid: false, code }))).toBe(`rejected server ${reason}`);
  });

  test.each([400, 401, 403, 404, 429, 500])(
    'takes the status %i for a failure, whatever its body says',
    async (status) => {
      for (const data of [good, { ...good, valid: false, code: 'NOT_FOUND' }])
        expect(await ask(data, status)).toMatchObject({ status: 'failed-closed' });
    },
  );

  test('takes flag and code at their word only if both say the same', async () => {
    for (const data of [
      { ...good, code: 'EXPIRED' },
      { ...good, code: undefined },
      { valid: false, code: 'VALID' },
      {},
      undefined,
    ])
      expect(await ask(data)).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test('has no verdict on a key without an identity, and says what is missing', async () => {
    expect(await ask({ ...good, identity: undefined })).toMatchObject({
      failure: { message: expect.stringContaining('missing or wrong: data.identity.externalId') as string },
    });
  });

  test('does not ask about a key that is too long for it', async () => {
    const { server, verify } = await setUp(protocol, { json: {} }, TOKEN);
    expect(brief(await verify('k'.repeat(513)))).toBe('rejected local malformed_key');
    expect(server.heard).toEqual([]);
    await verify('k'.repeat(512));
    expect(server.heard).toHaveLength(1);
  });
});

describe('workos', () => {
  const good = {
    object: 'api_key',
    id: 'api_key_1',
    owner: { type: 'organization', id: 'org_1' },
    name: 'one',
    obfuscated_value: 'sk_...1234',
    permissions: ['posts:read'],
    expires_at: '2099-01-01T00:00:00.000Z',
  };
  const ask = async (json: unknown, status = 200) => await (await setUp(workos(), { status, json }, TOKEN)).verify();

  test('asks as its API wants it', async () => {
    const { server, verify } = await setUp(workos(), { json: { api_key: good } }, TOKEN);
    await verify();
    expect(server.heard[0]).toMatchObject({
      method: 'POST',
      body: `{"value":"${KEY}"}`,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect(workos().url).toBe('https://api.workos.com/api_keys/validations');
  });

  test("verifies by the key's object: the owner is the client, its organization the tenant", async () => {
    expect(await ask({ api_key: good })).toMatchObject({
      status: 'verified',
      client: 'org_1',
      tenant: 'org_1',
      keyId: 'api_key_1',
      expiresAt: FUTURE,
      claims: { name: 'one', permissions: ['posts:read'] },
    });
    const owner = { type: 'user', id: 'user_1', organization_id: 'org_2' };
    expect(await ask({ api_key: { ...good, owner, expires_at: null } })).toMatchObject({
      client: 'user_1',
      tenant: 'org_2',
    });
  });

  test('rejects by null, and by nothing else', async () => {
    expect(brief(await ask({ api_key: null }))).toBe('rejected server rejected');
    expect(brief(await ask({ api_key: { ...good, expires_at: '2020-01-01T00:00:00.000Z' } }))).toBe(
      'rejected server expired',
    );
    const owners = [{ type: 'robot', id: 'r_1' }, { type: 'user', id: 'user_1' }, undefined];
    for (const json of [
      {},
      [],
      { api_key: false },
      { message: 'Unauthorized' },
      ...owners.map((owner) => ({ api_key: { ...good, owner } })),
    ])
      expect(await ask(json)).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test.each<[unknown, string]>([
    [{ tenant: 'api_key.name' }, 'tenant: there is no such option'],
    ['org_1', 'options: expected an object, got a string of 5 characters'],
  ])('takes no options: %j', (options, issue) => {
    const build: (options: unknown) => WireProtocol = workos;
    expect(() => build(options)).toThrow(new InvalidOptionsError([issue]));
    expect(build({}).url).toBe(workos().url);
  });

  test.each([
    [400, 'misconfigured'],
    [401, 'misconfigured'],
    [403, 'misconfigured'],
    [404, 'misconfigured'],
    [422, 'misconfigured'],
    [429, 'rate_limited'],
    [500, 'server_error'],
  ])('takes the status %i for %s', async (status, kind) => {
    expect(await ask({ api_key: null }, status)).toMatchObject({ status: 'failed-closed', failure: { kind } });
  });
});

describe('clerk', () => {
  const good = {
    object: 'api_key',
    id: 'ak_1',
    type: 'api_key',
    subject: 'org_1',
    name: 'one',
    scopes: ['read'],
    claims: { team: 'blue' },
    revoked: false,
    revocation_reason: null,
    expired: false,
    expiration: FUTURE,
  };
  const errors = [{ code: 'resource_not_found', message: 'not found', long_message: 'No API key was found.' }];
  const ask = async (json: unknown, status = 200) => await (await setUp(clerk(), { status, json }, TOKEN)).verify();

  test('asks as its API wants it', async () => {
    const { server, verify } = await setUp(clerk(), { json: good }, TOKEN);
    await verify();
    expect(server.heard[0]).toMatchObject({
      method: 'POST',
      body: `{"secret":"${KEY}"}`,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect(clerk().url).toBe('https://api.clerk.com/v1/api_keys/verify');
  });

  test('verifies a key that is neither revoked nor expired', async () => {
    expect(await ask(good)).toMatchObject({
      status: 'verified',
      client: 'org_1',
      tenant: 'org_1',
      keyId: 'ak_1',
      expiresAt: FUTURE,
      claims: { scopes: ['read'], claims: { team: 'blue' } },
    });
    expect(await ask({ ...good, expiration: null })).not.toHaveProperty('expiresAt');
    const byTeam = clerk({ tenant: 'claims.team' });
    expect(await (await setUp(byTeam, { json: good }, TOKEN)).verify()).toMatchObject({
      client: 'org_1',
      tenant: 'blue',
    });
  });

  test('rejects one that is, and one that is not found', async () => {
    expect(brief(await ask({ ...good, revoked: true, expired: true }))).toBe('rejected server revoked');
    expect(brief(await ask({ ...good, expired: true }))).toBe('rejected server expired');
    expect(brief(await ask({ errors, clerk_trace_id: 't_1' }, 404))).toBe('rejected server unknown_key');
  });

  test('needs both flags', async () => {
    for (const json of [{ ...good, revoked: undefined }, { ...good, expired: null }, { ...good, revoked: 'no' }, {}])
      expect(await ask(json)).toMatchObject({ failure: { kind: 'invalid_response' } });
  });

  test.each([
    [400, 'misconfigured'],
    [401, 'misconfigured'],
    [403, 'misconfigured'],
    [410, 'misconfigured'],
    [429, 'rate_limited'],
    [500, 'server_error'],
  ])('takes the status %i for %s', async (status, kind) => {
    expect(await ask({ errors }, status)).toMatchObject({ failure: { kind } });
  });

  test('takes a 404 without an error of its own for a wrong URL', async () => {
    for (const json of [{}, { errors: [] }, { errors: [{ code: '' }] }, { message: 'Cannot POST /' }])
      expect(await ask(json, 404)).toMatchObject({ failure: { kind: 'misconfigured' } });
  });
});

describe('introspection', () => {
  const options = { clientId: 'us:1', clientSecret: 'p@ss word!', tenant: 'org_id' } as const;
  const good = {
    active: true,
    client_id: 'acme',
    org_id: 'cust-A',
    jti: 'k-1',
    exp: FUTURE / 1_000,
    scope: 'read write',
    username: 'x',
  };
  const ask = async (json: unknown, more = {}, status = 200) =>
    await (await setUp(introspection({ ...options, ...more }), { status, json })).verify();

  test('verifies an active token: client_id is the client, else sub', async () => {
    expect(await ask(good)).toMatchObject({
      status: 'verified',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'k-1',
      expiresAt: FUTURE,
      claims: { scope: 'read write', username: 'x' },
    });
    expect(await ask({ ...good, client_id: undefined, sub: 'user_1' })).toMatchObject({ client: 'user_1' });
  });

  test('rejects one that is not active, not active yet, or for others', async () => {
    expect(brief(await ask({ active: false }))).toBe('rejected server rejected');
    expect(brief(await ask({ ...good, nbf: FUTURE / 1_000 }))).toBe('rejected server not_yet_valid');
    expect(brief(await ask({ ...good, exp: 1_000_000_000 }))).toBe('rejected server expired');
    for (const aud of ['other', ['other'], undefined, null, [['us']]])
      expect(brief(await ask({ ...good, aud }, { audience: 'us' }))).toBe('rejected server wrong_audience');
    for (const aud of ['us', ['other', 'us']])
      expect(brief(await ask({ ...good, aud, nbf: 1 }, { audience: 'us' }))).toBe('valid server');
  });

  test('rejects a token that is worth nothing without a proof, unless that was checked before', async () => {
    const bound = { ...good, cnf: { jkt: 'thumbprint' } };
    expect(brief(await ask(bound))).toBe('rejected server sender_constrained');
    expect(brief(await ask({ ...good, cnf: {} }))).toBe('rejected server sender_constrained');
    expect(brief(await ask({ ...good, cnf: null }))).toBe('valid server');
    expect(brief(await ask(bound, { allowSenderConstrained: true }))).toBe('valid server');
    expect(brief(await ask({ ...bound, token_type: 'DPoP' }, { allowSenderConstrained: true }))).toBe(
      'rejected server wrong_token_type',
    );
    const checked = { allowSenderConstrained: true, tokenTypes: ['dpop'] };
    expect(brief(await ask({ ...bound, token_type: 'DPoP' }, checked))).toBe('valid server');
  });

  test('rejects a token of another type, and a refresh token or an ID token of any', async () => {
    for (const type of ['Bearer', 'bearer', 'access_token', null])
      expect(brief(await ask({ ...good, token_type: type }))).toBe('valid server');
    for (const kind of [{ token_use: 'access' }, { token_use: 'access_token' }, { typ: 'Bearer' }, { typ: 'idp+jwt' }])
      expect(brief(await ask({ ...good, token_type: 'Bearer', ...kind }))).toBe('valid server');
    for (const type of ['DPoP', 'N_A', 'refresh_token', '', 7, ['Bearer']])
      expect(brief(await ask({ ...good, token_type: type }))).toBe('rejected server wrong_token_type');
    const refresh = [{ token_use: 'refresh_token' }, { typ: 'Refresh' }, { typ: 'Offline' }];
    for (const kind of [...refresh, { token_use: 'id' }, { token_use: 'id_token' }, { typ: 'ID' }])
      expect(brief(await ask({ ...good, token_type: 'Bearer', ...kind }))).toBe('rejected server wrong_token_type');
    for (const type of ['refresh_token', 'id_token'])
      expect(brief(await ask({ ...good, token_type: type }, { tokenTypes: [type] }))).toBe(
        'rejected server wrong_token_type',
      );
  });

  test('has no verdict on anything else', async () => {
    for (const json of [
      {},
      { ...good, active: 'true' },
      { ...good, client_id: undefined },
      { ...good, nbf: 'soon' },
      { ...good, exp: '2099' },
    ])
      expect(await ask(json)).toMatchObject({ failure: { kind: 'invalid_response' } });
    for (const status of [400, 401, 403, 404, 500])
      expect(await ask(good, {}, status)).toMatchObject({ status: 'failed-closed' });
  });

  test('sends our credentials as the server wants them', async () => {
    const sent = async (more: Parameters<typeof introspection>[0], token?: string) => {
      const { server, verify } = await setUp(introspection(more), { json: good }, token);
      await verify();
      const { headers, body } = server.heard[0] ?? { headers: {}, body: '' };
      return { authorization: headers.authorization, form: Object.fromEntries(new URLSearchParams(body)) };
    };
    const basic = Buffer.from('us%3A1:p%40ss+word%21').toString('base64');
    expect(await sent(options)).toEqual({ authorization: `Basic ${basic}`, form: { token: KEY } });
    const later = async () => await Promise.resolve(options.clientSecret);
    expect(await sent({ ...options, clientSecret: later })).toMatchObject({ authorization: `Basic ${basic}` });
    expect(await sent({ ...options, auth: 'post', tokenTypeHint: 'access_token' })).toEqual({
      authorization: undefined,
      form: { token: KEY, client_id: 'us:1', client_secret: 'p@ss word!', token_type_hint: 'access_token' },
    });
    expect(await sent({ tenant: 'org_id', auth: 'bearer' }, TOKEN)).toEqual({
      authorization: `Bearer ${TOKEN}`,
      form: { token: KEY },
    });
    expect(await sent({ tenant: 'org_id', auth: 'none', clientId: 'us' })).toEqual({
      authorization: undefined,
      form: { token: KEY, client_id: 'us' },
    });
  });
});
