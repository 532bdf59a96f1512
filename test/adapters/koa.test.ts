import { createServer } from 'node:http';

import Koa from 'koa';
import { apiKeyAuth } from 'keyverify/koa';
import { adapterRoutes } from 'keyverify/testing';

import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('Koa', async (verifier, handler) => {
  const listeners = Object.entries(adapterRoutes).map(([path, options]) => {
    const app = new Koa().use(apiKeyAuth(verifier, options)).use((ctx) => {
      ctx.body = handler(ctx.state.identity);
    });
    return [path, app.callback()] as const;
  });
  const byPath = new Map(listeners);
  return await listen(createServer((req, res) => void byPath.get(String(req.url))?.(req, res)));
});
