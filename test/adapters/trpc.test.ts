import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { initTRPC } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { applyWSSHandler, type CreateWSSContextFnOptions } from '@trpc/server/adapters/ws';
import { createHTTPHandler, type CreateHTTPContextOptions } from '@trpc/server/adapters/standalone';
import type { Verified } from 'keyverify';
import { type AdapterCall, type AdapterReply, adapterRoutes } from 'keyverify/testing';
import { apiKeyAuth, type TrpcContext } from 'keyverify/trpc';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { callHttp } from '../../src/testing/suites/adapter-client.js';
import { acme, rejected, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

/** A query: its data are the body, and the message of an error is the reason. */
async function callTrpc(call: AdapterCall): Promise<AdapterReply> {
  const { status, headers, body } = await callHttp(call);
  const { result, error } = JSON.parse(body) as { result?: { data: unknown }; error?: { message: string } };
  const denial = { reason: error?.message, requestId: headers['x-request-id'] };
  return { status, headers, body: JSON.stringify(result?.data ?? denial) };
}

testAdapter(
  'tRPC',
  async (verifier, handler) => {
    const t = initTRPC.context<CreateHTTPContextOptions>().create();
    const procedures = Object.entries(adapterRoutes).map(([path, options]) => {
      const auth = apiKeyAuth(verifier, options);
      const guarded = t.procedure.use(async ({ ctx, next }) => await next({ ctx: { identity: await auth(ctx) } }));
      return [path.slice(1), guarded.query(({ ctx }) => handler(ctx.identity))] as const;
    });
    const router = t.router(Object.fromEntries(procedures));
    return await listen(createServer(createHTTPHandler({ router, createContext: (context) => context })));
  },
  { call: callTrpc, http: false },
);

describe('a procedure of tRPC', () => {
  it('is guarded behind the adapter for fetch, too', async () => {
    const t = initTRPC.context<TrpcContext>().create();
    const auth = apiKeyAuth(saying(acme));
    const guarded = t.procedure.use(async ({ ctx, next }) => await next({ ctx: { identity: await auth(ctx) } }));
    const router = t.router({
      me: guarded.query(({ ctx }) => {
        expectTypeOf(ctx.identity).toEqualTypeOf<Verified>();
        return ctx.identity.client;
      }),
    });
    const ask = async (headers: Record<string, string>) => {
      const req = new Request('https://api.test/trpc/me', { headers });
      return await fetchRequestHandler({ endpoint: '/trpc', req, router, createContext: (context) => context });
    };
    const admitted = await ask({ 'x-api-key': 'sk-1' });
    expect([admitted.status, await admitted.json()]).toEqual([200, { result: { data: 'acme' } }]);
    const denied = await ask({});
    expect([denied.status, denied.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="api"']);
  });

  /** What a batch of calls says, each by itself. */
  const batch = async (names: string[], headers: Record<string, string>, verifier: DefaultVerifier) => {
    const t = initTRPC.context<CreateHTTPContextOptions>().create();
    const [auth, admin] = [apiKeyAuth(verifier), apiKeyAuth(verifier, { authorize: () => false })];
    const guarded = (by: typeof auth) =>
      t.procedure
        .use(async ({ ctx, next }) => await next({ ctx: { identity: await by(ctx) } }))
        .query(({ ctx }) => ctx.identity?.client);
    const late = t.procedure
      .use(async ({ ctx, next }) => {
        await once(ctx.res, 'drained');
        return await next({ ctx: { identity: await auth(ctx) } });
      })
      .query(({ ctx }) => ctx.identity?.client);
    const open = t.procedure.query(({ ctx }) => {
      // The head is sent with the first answer of a stream.
      setImmediate(() => ctx.res.emit('drained'));
      return 'anybody';
    });
    const router = t.router({ me: guarded(auth), admin: guarded(admin), late, open });
    const server = createServer(createHTTPHandler({ router, createContext: (context) => context }));
    const { url, close } = await listen(server);
    const response = await fetch(`${url}/${names.join(',')}?batch=1`, { headers });
    const text = await response.text();
    await close();
    return { response, text };
  };

  it('is guarded in a batch each by itself, for one question', async () => {
    const verifier = saying(acme);
    const { response, text } = await batch(['me', 'admin', 'me'], { 'x-api-key': 'sk-1' }, verifier);
    expect(response.status).toBe(207);
    expect(JSON.parse(text)).toMatchObject([
      { result: { data: 'acme' } },
      { error: { message: 'not_allowed', data: { code: 'FORBIDDEN' } } },
      { result: { data: 'acme' } },
    ]);
    const denied = await batch(['me', 'me'], {}, verifier);
    expect([denied.response.status, denied.response.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="api"',
    ]);
  });

  it('is denied as such where the head of a stream has been sent', async () => {
    const headers = { 'trpc-accept': 'application/jsonl' };
    const { response, text } = await batch(['open', 'late'], headers, saying(acme));
    expect(response.status).toBe(200);
    expect(text).toContain('anybody');
    expect(text).toContain('UNAUTHORIZED');
    expect(text).not.toContain('ERR_HTTP_HEADERS_SENT');
  });

  it('is guarded in a WebSocket, which has no headers to send, and warns of no leak', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const t = initTRPC.context<CreateWSSContextFnOptions>().create();
    const router = (verifier: DefaultVerifier) => {
      const auth = apiKeyAuth(verifier);
      const guarded = t.procedure.use(async ({ ctx, next }) => await next({ ctx: { identity: await auth(ctx) } }));
      return t.router({ me: guarded.query(({ ctx }) => ctx.identity?.client) });
    };
    const ask = async (verifier: DefaultVerifier, headers: Record<string, string>, calls: number) => {
      const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      applyWSSHandler({ wss, router: router(verifier), createContext: (context) => context });
      await once(wss, 'listening');
      const { port } = wss.address() as AddressInfo;
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
      await once(socket, 'open');
      const replies: unknown[] = [];
      const answered = new Promise<void>((resolve) => {
        socket.on('message', (data: Buffer) => {
          if (replies.push(JSON.parse(data.toString())) === calls) resolve();
        });
      });
      for (let id = 1; id <= calls; id++)
        socket.send(JSON.stringify({ id, jsonrpc: '2.0', method: 'query', params: { path: 'me', input: null } }));
      await answered;
      socket.terminate();
      wss.close();
      return replies;
    };
    const admitted = await ask(saying(acme), { 'x-api-key': 'sk-1' }, 30);
    expect(admitted).toHaveLength(30);
    expect(admitted[0]).toMatchObject({ result: { data: 'acme' } });
    expect(await ask(saying(rejected('revoked')), { 'x-api-key': 'sk-1' }, 1)).toMatchObject([
      { error: { message: 'revoked', data: { code: 'UNAUTHORIZED' } } },
    ]);
    expect(await ask(saying(acme), {}, 1)).toMatchObject([
      { error: { message: 'missing_key', data: { code: 'UNAUTHORIZED' } } },
    ]);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('is guarded without a response', async () => {
    const auth = apiKeyAuth(saying(acme));
    expect(await auth({ req: { headers: { 'x-api-key': 'sk-1' } } })).toBe(acme);
    await expect(auth({ req: { headers: {} } })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: 'missing_key',
    });
  });

  it('is denied as an internal error for a status that tRPC does not have', async () => {
    const auth = apiKeyAuth(saying(acme), { onDenied: () => ({ status: 418 }) });
    await expect(auth({ req: { headers: {} } })).rejects.toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
  });
});
