import { createServer } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { apiKeyAuth } from 'keyverify/hono';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, it, vi } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('Hono', async (verifier, handler) => {
  const app = new Hono();
  for (const [path, options] of Object.entries(adapterRoutes)) {
    app.all(path, apiKeyAuth(verifier, options), (c) => c.json(handler(c.var.identity)));
  }
  const toNode = getRequestListener(app.fetch);
  return await listen(createServer((req, res) => void toNode(req, res)));
});

describe('the middleware for Hono', () => {
  it('keeps a worker alive for a refresh in the background', async () => {
    const verifier = saying(acme);
    const app = new Hono().use(apiKeyAuth(verifier)).get('/', (c) => c.text('in'));
    const context = { waitUntil: vi.fn(), passThroughOnException: vi.fn(), props: {} };
    await app.request('/', { headers: { 'x-api-key': 'sk-1' } }, {}, context);
    const work = Promise.resolve();
    verifier.asked[0]?.options?.waitUntil?.(work);
    expect(context.waitUntil).toHaveBeenCalledExactlyOnceWith(work);
  });

  it('denies with the id that the middleware request-id gave the request', async () => {
    const app = new Hono()
      .use(requestId({ generator: () => 'req-of-hono' }))
      .use(apiKeyAuth(saying(acme)))
      .get('/', (c) => c.text('in'));
    expect((await app.request('/')).headers.get('x-request-id')).toBe('req-of-hono');
  });
});
