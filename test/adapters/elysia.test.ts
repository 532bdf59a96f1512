import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { node } from '@elysiajs/node';
import { getRequestListener } from '@hono/node-server';
import { Elysia, t } from 'elysia';
import type { Verified } from 'keyverify';
import { apiKeyAuth } from 'keyverify/elysia';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, expectTypeOf, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('Elysia', async (verifier, handler) => {
  const app = new Elysia();
  for (const [path, options] of Object.entries(adapterRoutes))
    app.use(new Elysia().use(apiKeyAuth(verifier, options)).all(path, ({ identity }) => handler(identity)));
  const toNode = getRequestListener(async (request) => await app.handle(request));
  return await listen(createServer((req, res) => void toNode(req, res)));
});

// Its adapter for Node.js has its own way of making responses.
testAdapter('Elysia on Node.js', async (verifier, handler) => {
  const app = new Elysia({ adapter: node() });
  for (const [path, options] of Object.entries(adapterRoutes))
    app.use(new Elysia().use(apiKeyAuth(verifier, options)).all(path, ({ identity }) => handler(identity)));
  const server = await new Promise<Server>((resolve) => {
    app.listen({ port: 0, hostname: '127.0.0.1' }, (info: object) => resolve(nodeServerOf(info)));
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, close };
});

const nodeServerOf = (info: object): Server =>
  (info as { readonly raw: { readonly node: { readonly server: Server } } }).raw.node.server;

describe('the plugin for Elysia', () => {
  it('types the identity, and guards no route before it', async () => {
    const app = new Elysia()
      .get('/public', () => 'anybody')
      .use(apiKeyAuth(saying(acme)))
      .get('/guarded', ({ identity }) => {
        expectTypeOf(identity).toEqualTypeOf<Verified>();
        return identity.client;
      });
    const statusOf = async (path: string, headers = {}) =>
      (await app.handle(new Request(`https://api.test${path}`, { headers }))).status;
    expect([await statusOf('/public'), await statusOf('/guarded')]).toEqual([200, 401]);
    expect(await statusOf('/guarded', { 'x-api-key': 'sk-1' })).toBe(200);
  });

  it('types the identity next to what else an app has, but not in the app around it', () => {
    const inner = new Elysia({ prefix: '/orders' })
      .decorate('region', 'eu')
      .use(apiKeyAuth(saying(acme), { optional: true }))
      .get('/', ({ identity, region }) => {
        expectTypeOf(identity).toEqualTypeOf<Verified | null>();
        return region;
      })
      .group('/admin', (group) =>
        group.use(apiKeyAuth(saying(acme))).get('/', ({ identity }) => {
          expectTypeOf(identity.client).toBeString();
          return identity.client;
        }),
      );
    // @ts-expect-error: the identity is there only behind the plugin
    new Elysia().use(inner).get('/', ({ identity }) => String(identity));
  });

  it.each([true, false])(
    'denies before a body is parsed, and before anything is validated, with aot: %s',
    async (aot) => {
      const verifier = saying(acme);
      const parsed: string[] = [];
      const app = new Elysia({ aot })
        .use(apiKeyAuth(verifier))
        .onParse(({ contentType }) => void parsed.push(contentType))
        .get('/search', () => 'found', { query: t.Object({ n: t.Numeric() }) })
        .post('/orders', ({ identity, body }) => ({ ...body, client: identity.client }), {
          body: t.Object({ n: t.Number() }),
        });
      const send = async (path: string, headers: Record<string, string>, body?: string) => {
        const init = body === undefined ? { headers } : { headers, method: 'POST', body };
        return await app.handle(new Request(`https://api.test${path}`, init));
      };
      const json = { 'content-type': 'application/json' };
      for (const body of ['{"n":"one"}', '{bad', '{"n":1}'])
        expect([body, (await send('/orders', json, body)).status]).toEqual([body, 401]);
      expect((await send('/search', {})).status).toBe(401);
      expect([parsed, verifier.asked]).toEqual([[], []]);
      const withKey = { ...json, 'x-api-key': 'sk-1' };
      expect((await send('/search', withKey)).status).toBe(422);
      expect((await send('/orders', withKey, '{"n":"one"}')).status).toBe(422);
      const admitted = await send('/orders', withKey, '{"n":1}');
      expect([admitted.status, await admitted.json()]).toEqual([200, { n: 1, client: 'acme' }]);
      expect(verifier.asked).toHaveLength(3);
    },
  );

  it('admits callers without an identity where a route is optional, with a body, too', async () => {
    const verifier = saying(acme);
    const app = new Elysia()
      .use(apiKeyAuth(verifier, { optional: true }))
      .post('/', ({ identity, body }) => ({ client: identity?.client ?? null, body }));
    const response = await app.handle(new Request('https://api.test/', { method: 'POST', body: 'text' }));
    expect([response.status, await response.json()]).toEqual([200, { client: null, body: 'text' }]);
  });
});
