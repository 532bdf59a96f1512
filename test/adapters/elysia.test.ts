import { createServer } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import { Elysia } from 'elysia';
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
});
