import { createServer } from 'node:http';

import connect from 'connect';
import express from 'express';
import express4 from 'express4';
import { apiKeyAuth } from 'keyverify/express';
import { adapterRoutes } from 'keyverify/testing';
import Koa from 'koa';
import { describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('Express 5', async (verifier, handler) => {
  const app = express();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.all(path, apiKeyAuth(verifier, options), (_, res) => void res.json(handler(res.locals.identity)));
  }
  return await listen(createServer(app));
});

testAdapter('Express 4', async (verifier, handler) => {
  const app = express4();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.all(path, apiKeyAuth(verifier, options), (_, res) => void res.json(handler(res.locals.identity)));
  }
  return await listen(createServer(app));
});

testAdapter('connect', async (verifier, handler) => {
  const app = connect();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    const auth = apiKeyAuth(verifier, options);
    app.use(path, auth);
    app.use(path, (req, res) => res.end(JSON.stringify(handler(auth.identityOf(req)))));
  }
  return await listen(createServer(app));
});

describe('the middleware for Express', () => {
  it('tells the caller wherever it was mounted, and nobody where it has not run', async () => {
    const auth = apiKeyAuth(saying(acme));
    const app = express();
    app.get('/public', (req, res) => void res.json(auth.identityOf(req)));
    app.use(
      auth,
      express.Router().get('/orders', (req, res) => void res.json(auth.identityOf(req).client)),
    );
    app.use((error: Error, _: express.Request, res: express.Response, next: express.NextFunction) => {
      if (res.headersSent) next();
      else res.status(500).json(error.message);
    });
    const { url, close } = await listen(createServer(app));
    const ask = async (path: string): Promise<unknown> =>
      await (await fetch(url + path, { headers: { 'x-api-key': 'sk-1' } })).json();
    expect(await ask('/orders')).toBe('acme');
    expect(await ask('/public')).toMatch(/this guard has not admitted this request/);
    await close();
  });

  it.each(['Express', 'Koa'])('that %s calls in place of its result says so in one sentence', async (framework) => {
    const messages: string[] = [];
    const app = express();
    app.get('/', apiKeyAuth as unknown as express.RequestHandler);
    app.use((error: Error, _: express.Request, res: express.Response, next: express.NextFunction) => {
      messages.push(error.message);
      if (res.headersSent) next();
      else res.sendStatus(500);
    });
    const koa = new Koa().use(apiKeyAuth as unknown as Koa.Middleware);
    koa.on('error', ({ message }: Error) => messages.push(message));
    const handle = koa.callback();
    const server = framework === 'Koa' ? createServer((req, res) => void handle(req, res)) : createServer(app);
    const { url, close } = await listen(server);
    expect((await fetch(url)).status).toBe(500);
    expect(messages).toEqual([
      'keyverify: invalid options\n  - verifier: got a request: write apiKeyAuth(verifier), not apiKeyAuth, as the handler',
    ]);
    await close();
  });

  it('denies with the id that a middleware before it gave the request', async () => {
    const app = express();
    app.use((req, _, next) => {
      Object.assign(req, { id: 'req-of-mine' });
      next();
    });
    app.use(apiKeyAuth(saying(acme)));
    const { url, close } = await listen(createServer(app));
    expect((await fetch(url)).headers.get('x-request-id')).toBe('req-of-mine');
    await close();
  });
});
