import { createServer } from 'node:http';

import connect from 'connect';
import express from 'express';
import express4 from 'express4';
import type { Verified } from 'keyverify';
import { apiKeyAuth } from 'keyverify/express';
import { adapterRoutes } from 'keyverify/testing';

import { listen } from './listen.js';
import { testAdapter } from './suite.js';

/** Connect has no types for what a middleware leaves on a request. */
const identityOf = (req: object): Verified | null => (req as { identity: Verified | null }).identity;

testAdapter('Express 5', async (verifier, handler) => {
  const app = express();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.all(path, apiKeyAuth(verifier, options), (req, res) => void res.json(handler(req.identity)));
  }
  return await listen(createServer(app));
});

testAdapter('Express 4', async (verifier, handler) => {
  const app = express4();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.all(path, apiKeyAuth(verifier, options), (req, res) => void res.json(handler(req.identity)));
  }
  return await listen(createServer(app));
});

testAdapter('connect', async (verifier, handler) => {
  const app = connect();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.use(path, apiKeyAuth(verifier, options));
    app.use(path, (req, res) => res.end(JSON.stringify(handler(identityOf(req)))));
  }
  return await listen(createServer(app));
});
