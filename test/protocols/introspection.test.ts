import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';

import Provider from 'oidc-provider';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { introspection, type IntrospectionOptions } from 'keyverify/protocols';

import { brief } from '../helpers/rig.js';

// Against somebody else's authorization server, over HTTP.

const SECRET = 'secret-0123456789!~';
const LIFETIME_S = 600;
const CREDENTIALS = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const CONFIGURATION = {
  clients: [
    { ...CREDENTIALS, client_id: 'acme', client_secret: SECRET },
    { ...CREDENTIALS, client_id: 'us:basic', client_secret: SECRET },
    { ...CREDENTIALS, client_id: 'us-post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  extraTokenClaims: () => ({ org_id: 'cust-A' }),
  scopes: ['read'],
  ttl: { ClientCredentials: LIFETIME_S },
  cookies: { keys: ['test'] },
};

afterEach(() => {
  vi.useRealTimers();
});

async function startProvider() {
  // It warns of the keys and the adapter that it has by default.
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockReturnValue(undefined);
  let listener: RequestListener = (_, response) => response.end();
  const server = createServer((request, response) => listener(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const issuer = `http://127.0.0.1:${typeof address === 'object' ? String(address?.port) : ''}`;
  listener = new Provider(issuer, CONFIGURATION).callback();
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(stop);
  const post = async (path: string, form: Record<string, string>): Promise<unknown> => {
    const authorization = `Basic ${Buffer.from(`acme:${encodeURIComponent(SECRET)}`).toString('base64')}`;
    const response = await fetch(issuer + path, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams(form),
    });
    expect(response.status).toBe(200);
    return response.headers.get('content-type')?.includes('json') === true ? await response.json() : undefined;
  };
  return {
    stop,
    issueToken: async (): Promise<string> => {
      const { access_token: token } = (await post('/token', { grant_type: 'client_credentials', scope: 'read' })) as {
        access_token: string;
      };
      return token;
    },
    revoke: async (token: string): Promise<void> => {
      await post('/token/revocation', { token });
    },
    build: (options: Partial<Extract<IntrospectionOptions, { clientSecret: unknown }>> = {}): KeyVerifier => {
      const verifier = new KeyVerifier({
        verifyUrl: `${issuer}/token/introspection`,
        protocol: introspection({ clientId: 'us:basic', clientSecret: SECRET, tenant: 'org_id', ...options }),
        scope: 'cust-A',
        rejectedTtlMs: 0.001,
        logger: { warn: () => undefined },
      });
      onTestFinished(async () => await verifier.close());
      return verifier;
    },
  };
}

const POST = { clientId: 'us-post', auth: 'post' } as const;

test.each([{}, POST])('a good token is verified, with the credentials %j', async (options) => {
  const { build, issueToken } = await startProvider();
  const token = await issueToken();
  const result = await build(options).verify(token);
  expect(result).toMatchObject({
    status: 'verified',
    client: 'acme',
    tenant: 'cust-A',
    claims: { scope: 'read', token_type: 'Bearer' },
  });
  const endsIn = result.status === 'verified' ? (result.expiresAt ?? 0) - Date.now() : 0;
  expect(endsIn).toBeGreaterThan((LIFETIME_S - 60) * 1_000);
  expect(endsIn).toBeLessThanOrEqual(LIFETIME_S * 1_000);
});

test('a revoked, an expired and an unknown token are rejected', async () => {
  const { build, issueToken, revoke } = await startProvider();
  const verifier = build();
  expect(brief(await verifier.verify('unknown-token'))).toBe('rejected server rejected');
  const revoked = await issueToken();
  expect(brief(await verifier.verify(revoked))).toBe('valid server');
  await revoke(revoked);
  verifier.invalidate({ key: revoked });
  expect(brief(await verifier.verify(revoked))).toBe('rejected server rejected');
  const expired = await issueToken();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + (LIFETIME_S + 1) * 1_000 });
  expect(brief(await verifier.verify(expired))).toBe('rejected server rejected');
});

test.each([{}, POST])('a wrong client secret is our own mistake, and no bad token: %j', async (options) => {
  const { build, issueToken } = await startProvider();
  const token = await issueToken();
  expect(await build({ ...options, clientSecret: 'wrong' }).verify(token)).toMatchObject({
    status: 'failed-closed',
    failure: {
      kind: 'misconfigured',
      message: 'keyverify: the key server answered 401: check clientId and clientSecret',
    },
  });
});

test('a client secret that has changed is fetched anew', async () => {
  const { build, issueToken } = await startProvider();
  const secrets = ['old', SECRET];
  const verifier = build({ clientSecret: () => secrets.shift() ?? 'none' });
  expect(brief(await verifier.verify(await issueToken()))).toBe('valid server');
});

test('a server that has stopped is an outage: a known token goes on, an unknown one is denied', async () => {
  const { build, issueToken, stop } = await startProvider();
  const verifier = build({ ignoreCacheControl: true });
  const known = await issueToken();
  const unknown = await issueToken();
  await verifier.verify(known);
  stop();
  expect(brief(await verifier.verify(known))).toBe('valid cache');
  expect(brief(await verifier.verify(known, { maxAgeMs: 0.001 }))).toBe('closed unreachable');
  expect(brief(await verifier.verify(unknown))).toBe('closed unreachable');
});

test('a server that sends no-store with everything is asked each time, unless that is ignored', async () => {
  const { build, issueToken } = await startProvider();
  const token = await issueToken();
  for (const [ignoreCacheControl, second] of [
    [false, 'valid server'],
    [true, 'valid cache'],
  ] as const) {
    const verifier = build({ ignoreCacheControl });
    await verifier.verify(token);
    expect(brief(await verifier.verify(token))).toBe(second);
  }
});
