import { createServer } from 'node:http';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { KeyVerifier, type Verified } from 'keyverify';
import { apiKeyAuth, type McpOptions } from 'keyverify/mcp';
import {
  type AdapterCall,
  type AdapterHandler,
  type AdapterReply,
  adapterRoutes,
  startKeyServer,
} from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { acme, failedClosed, failedOpen, rejected, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

/** A server of the SDK for one request, whose only tool tells who calls it. */
async function answer(req: express.Request, res: express.Response, handler: AdapterHandler): Promise<void> {
  const server = new McpServer({ name: 'test', version: '1.0.0' });
  server.registerTool('me', {}, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(handler(authInfo?.extra?.['identity'] as Verified)) }],
  }));
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  res.once('close', () => void server.close());
  await server.connect(transport);
  await transport.handleRequest(req, res, req.body);
}

/** What the SDK has no status for, by the reason that it hands on. */
const STATUSES: Readonly<Record<string, number>> = { rate_limited: 429, unavailable: 503 };

/** Calls the tool, and tells what the SDK answers in the words of HTTP: what the tool says is the body. */
async function callMcp({ url, path, headers }: AdapterCall): Promise<AdapterReply> {
  // The SDK reads a key from nowhere else.
  const sent = headers.map(([name, value]): [string, string] =>
    name === 'X-API-Key' ? ['authorization', `Bearer ${value}`] : [name, value],
  );
  const accept = 'application/json, text/event-stream';
  const response = await fetch(url + path, {
    method: 'POST',
    headers: [...sent, ['accept', accept], ['content-type', 'application/json']],
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'me', arguments: {} } }),
  });
  const {
    result,
    error,
    error_description: description = '',
  } = (await response.json()) as {
    result?: { content: [{ text: string }] };
    error?: string;
    error_description?: string;
  };
  if (result !== undefined) return { status: response.status, headers: {}, body: result.content[0].text };
  const reason = description === 'Missing Authorization header' ? 'missing_key' : description;
  const challenge = response.headers.get('www-authenticate');
  expect(challenge).toBe(
    response.status === 401 || response.status === 403
      ? `Bearer error="${error ?? ''}", error_description="${description}"`
      : null,
  );
  const inTable = reason === 'missing_key' ? 'Bearer realm="api"' : `Bearer realm="api", error="${error ?? ''}"`;
  return {
    status: STATUSES[reason] ?? response.status,
    headers: {
      'x-request-id': 'none',
      'retry-after': reason === 'unavailable' ? '5' : undefined,
      'www-authenticate': challenge === null || reason === 'not_allowed' ? undefined : inTable,
    },
    body: JSON.stringify({ reason, requestId: 'none' }),
  };
}

testAdapter(
  'a server of the Model Context Protocol',
  async (verifier, handler) => {
    const app = express().use(express.json());
    for (const [path, options] of Object.entries(adapterRoutes)) {
      const { optional: _, failOpen: __, ...own } = { optional: false, failOpen: false, ...options };
      app.post(
        path,
        requireBearerAuth({ verifier: apiKeyAuth(verifier, own) }),
        (req, res) => void answer(req, res, handler),
      );
    }
    return await listen(createServer(app));
  },
  {
    call: callMcp,
    http: false,
    leaves: false,
    // The SDK demands a bearer, hands on the first of several, and has only its own statuses: see below.
    except: [
      'admits requests without a key on an optional route, and still denies a key that is not valid',
      'admits callers without an identity in an outage on a route that fails open, and on no other',
      'denies with a plain 500 if authorize() or onDenied() throws',
      'lets onDenied() change the denial, and only the denial',
      'refuses two keys in one request, in two headers or in one',
      'refuses two bearers, of which Node keeps the first',
      'refuses a header that is sent twice, also where one of the two has no key',
    ],
  },
);

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

  it('is called by the client of the SDK, whose tools know the caller', async () => {
    const app = express().use(express.json());
    const auth = requireBearerAuth({ verifier: apiKeyAuth(saying(acme)) });
    app.all('/mcp', auth, (req, res) => void answer(req, res, (identity) => ({ tenant: identity?.tenant ?? null })));
    const { url, close } = await listen(createServer(app));
    const client = new Client({ name: 'test', version: '1.0.0' });
    const requestInit = { headers: { authorization: 'Bearer sk-1' } };
    const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit });
    await client.connect(transport);
    expect((await client.callTool({ name: 'me' })).content).toEqual([{ type: 'text', text: '{"tenant":"eu-1"}' }]);
    await client.close();
    await close();
  });

  it('denies with the statuses that the SDK has, for what onDenied() wants', async () => {
    const denied = saying(rejected('revoked'));
    const wanting = async (status: number) => await ask(denied, { onDenied: () => ({ status }) });
    expect(await wanting(404)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect(await wanting(502)).toMatchObject({ status: 500, body: { error: 'server_error' } });
  });

  it('denies with a plain 500 if a hook throws, and shows nothing of it', async () => {
    const throws = (): never => {
      throw new Error('inside');
    };
    for (const [verifier, options] of [
      [saying(acme), { authorize: throws }],
      [saying(rejected('revoked')), { onDenied: throws }],
      [saying(acme), { scopes: throws }],
    ] as const) {
      const { status, body } = await ask(verifier, options);
      expect([status, body['error']]).toEqual([500, 'server_error']);
      expect(JSON.stringify(body)).not.toContain('inside');
    }
  });

  it.each<[string, unknown, RegExp]>([
    ['a name it does not know', { scope: () => [] }, /scope: there is no such option/],
    ['scopes that are no function', { scopes: ['read'] }, /scopes: expected a function, got an array$/],
    ['null for scopes', { scopes: null }, /scopes: expected a function, got null$/],
    ['options that are none', 7, /options: expected an object, got 7$/],
    [
      'what the SDK decides',
      { optional: true, failOpen: true },
      /optional: expected nothing[^]*failOpen: expected nothing/,
    ],
    ['a place for keys', { keySources: ['bearer'] }, /keySources: expected nothing, the SDK decides this/],
    ['a realm', { realm: 'api' }, /realm: expected nothing, the SDK decides this/],
    ['a verifier that is none', undefined, /verifier: expected an object with verify\(\)/],
  ])('is refused for %s', (_, options, message) => {
    const verifier = options === undefined ? (null as unknown as DefaultVerifier) : saying(acme);
    expect(() => apiKeyAuth(verifier, options as McpOptions<Verified['claims']>)).toThrow(message);
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
