import Fastify from 'fastify';
import { apiKeyAuth } from 'keyverify/fastify';
import { describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { guardedRoutes, routes } from '../../src/testing/suites/adapter-routes.js';
import { testAdapter } from './suite.js';

testAdapter('Fastify', async (verifier, handler) => {
  const app = Fastify();
  void app.register((scope, _, done) => {
    // Not awaited: the routes below are there before the plugin is loaded, and are guarded nonetheless.
    void scope.register(apiKeyAuth, { verifier, failOpen: false });
    for (const [url, config] of Object.entries(routes)) {
      const method = ['GET', 'OPTIONS'];
      scope.route({ method, url, config: { keyverify: config }, handler: (request) => handler(request.identity) });
    }
    done();
  });
  for (const [url, options] of Object.entries(guardedRoutes)) {
    void app.register((scope, _, done) => {
      void scope.register(apiKeyAuth, { verifier, failOpen: false, ...options });
      scope.get(url, (request) => handler(request.identity));
      done();
    });
  }
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, close: async () => await app.close() };
});

describe('the plugin for Fastify', () => {
  const verifier = saying(acme);

  it('guards its own scope and those inside it, and no other', async () => {
    const app = Fastify();
    void app.register(async (scope) => {
      await scope.register(apiKeyAuth, { verifier });
      scope.get('/guarded', (request) => request.identity.client);
      await scope.register((inner, _, done) => {
        inner.get('/inside', (request) => request.identity.client);
        done();
      });
    });
    app.get('/public', () => 'anybody');
    const statuses = ['/guarded', '/inside', '/public'].map(async (url) => (await app.inject(url)).statusCode);
    expect(await Promise.all(statuses)).toEqual([401, 401, 200]);
    const headers = { authorization: 'Bearer sk-1' };
    expect((await app.inject({ url: '/inside', headers })).body).toBe('acme');
  });

  it('guards what is not found as well', async () => {
    const app = Fastify();
    await app.register(apiKeyAuth, { verifier });
    expect((await app.inject('/nothing')).statusCode).toBe(401);
  });

  it('refuses options that do not say what they mean', async () => {
    const options = { verifier, optinal: true } as const;
    await expect(Fastify().register(apiKeyAuth, options)).rejects.toThrow(/optinal is not an option here/);
  });
});
