import { createServer } from 'node:http';

import { H3 } from 'h3';
import * as h3v1 from 'h3-1';
import { toNodeHandler } from 'h3/node';
import { apiKeyAuth } from 'keyverify/h3';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('h3 2', async (verifier, handler) => {
  const app = new H3();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    const auth = apiKeyAuth(verifier, options);
    app.use(path, auth).all(path, (event) => handler(auth.identityOf(event)));
  }
  return await listen(createServer((req, res) => void toNodeHandler(app)(req, res)));
});

testAdapter('h3 1', async (verifier, handler) => {
  const app = h3v1.createApp();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    const auth = apiKeyAuth(verifier, options);
    app.use(path, h3v1.defineEventHandler(auth));
    app.use(
      path,
      h3v1.defineEventHandler((event) => handler(auth.identityOf(event))),
    );
  }
  return await listen(createServer(h3v1.toNodeListener(app)));
});

describe('the middleware for h3', () => {
  it('knows nobody of an event that it has not admitted', () => {
    const event = { req: new Request('https://api.test/'), context: { identity: acme } };
    expect(() => apiKeyAuth(saying(acme)).identityOf(event)).toThrow(/this guard has not admitted/);
  });

  it.each([{}, { req: null }, { req: { headers: null } }, { node: null }, { node: { req: {} } }])(
    'refuses %j as an event',
    (event) => {
      // At once: Express 4 ignores what a middleware rejects with.
      expect(() => apiKeyAuth(saying(acme))({ ...event, context: {} })).toThrow(/expected an event of h3/);
    },
  );
});
