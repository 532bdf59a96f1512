import { createServer } from 'node:http';

import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import express from 'express';
import { KeyVerifier, type Verified } from 'keyverify';
import { apiKeyAuth, type McpOptions } from 'keyverify/mcp';
import { startKeyServer } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { acme, failedClosed, failedOpen, rejected, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';

interface Reply {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: Record<string, unknown>;
}

/** Asks a server whose only route is guarded by the SDK. */
async function ask(
  verifier: DefaultVerifier,
  options: McpOptions<Verified['claims']> = {},
  requiredScopes: string[] = [],
): Promise<Reply> {
  const app = express();
  app.get('/mcp', requireBearerAuth({ verifier: apiKeyAuth(verifier, options), requiredScopes }), (req, res) => {
    const { clientId, scopes, expiresAt, extra } = req.auth ?? {};
    res.json({ clientId, scopes, expiresAt, tenant: (extra?.['identity'] as Verified).tenant });
  });
  const { url, close } = await listen(createServer(app));
  const response = await fetch(`${url}/mcp`, { headers: { authorization: 'Bearer sk-1' } });
  const body = (await response.json()) as Record<string, unknown>;
  await close();
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body };
}

describe('a verifier of access tokens for MCP', () => {
  it('hands on the caller of a key, verified over HTTP', async () => {
    await using keyServer = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
    await using verifier = new KeyVerifier({ verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token' });
    expect(await ask(verifier)).toMatchObject({
      status: 200,
      body: { clientId: 'acme', scopes: [], tenant: 'cust-A' },
    });
  });

  it('says when a key ends, and that one without an end is good for now', async () => {
    const expiresAt = Date.now() + 60_000;
    expect((await ask(saying({ ...acme, expiresAt }))).body['expiresAt']).toBe(Math.floor(expiresAt / 1000));
    expect(Number((await ask(saying(acme))).body['expiresAt'])).toBeGreaterThan(Date.now() / 1000);
  });

  it('says which scopes a key has', async () => {
    const scopes = (): string[] => ['orders:read'];
    expect(await ask(saying(acme), { scopes }, ['orders:read'])).toMatchObject({
      status: 200,
      body: { scopes: ['orders:read'] },
    });
    expect((await ask(saying(acme), { scopes }, ['orders:write'])).status).toBe(403);
  });

  it.each([
    ['a key that is not valid', rejected('revoked'), 401, 'invalid_token', 'revoked'],
    ['a key of another scope', rejected('scope_mismatch'), 403, 'insufficient_scope', 'scope_mismatch'],
    ['a key that has called too often', rejected('rate_limited'), 400, 'too_many_requests', 'rate_limited'],
    ['no verdict', failedClosed('timeout'), 500, 'server_error', 'unavailable'],
    ['a mistake of ours', failedClosed('misconfigured'), 500, 'server_error', 'internal_error'],
  ])('denies by the errors of the SDK: %s', async (_, result, status, error, description) => {
    expect(await ask(saying(result))).toMatchObject({ status, body: { error, error_description: description } });
  });

  it('takes white space in a token for two keys', async () => {
    await expect(apiKeyAuth(saying(acme)).verifyAccessToken('sk-1 sk-2')).rejects.toThrow('ambiguous_key');
  });

  it('may be told who may use it, and never fails open', async () => {
    expect((await ask(saying(acme), { authorize: () => false })).status).toBe(403);
    const verifier = saying<true>(failedOpen);
    await ask(verifier);
    expect(verifier.asked).toMatchObject([{ options: { failOpen: false } }]);
  });
});
