import { createServer } from 'node:http';

import Koa from 'koa';
import { keyverify } from 'keyverify/koa';

import { all, listen, testAdapter } from './suite.js';

testAdapter('Koa', async (verifier, handler) => {
  const listeners = Object.entries(all).map(([path, options]) => {
    const app = new Koa().use(keyverify(verifier, options)).use((ctx) => {
      ctx.body = handler(ctx.state.identity);
    });
    return [path, app.callback()] as const;
  });
  const byPath = new Map(listeners);
  return await listen(createServer((req, res) => void byPath.get(String(req.url))?.(req, res)));
});
