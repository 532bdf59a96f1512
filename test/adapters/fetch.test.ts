import { createServer } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import { apiKeyAuth } from 'keyverify/fetch';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, it, vi } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('fetch handlers', async (verifier, handler) => {
  const handlers = Object.entries(adapterRoutes).map(
    ([path, options]) =>
      [path, apiKeyAuth(verifier, options).protect((_, identity) => Response.json(handler(identity)))] as const,
  );
  const byPath = new Map(handlers);
  const fetch = async (request: Request): Promise<Response> =>
    (await byPath.get(new URL(request.url).pathname)?.(request)) ?? new Response(null, { status: 404 });
  const toNode = getRequestListener(fetch);
  return await listen(createServer((req, res) => void toNode(req, res)));
});

describe('the guard for fetch handlers', () => {
  const request = new Request('https://api.test/', { headers: { 'x-api-key': 'sk-1' } });

  it('gives a loader the identity, or the response to return', async () => {
    const { authenticate } = apiKeyAuth(saying(acme));
    expect(await authenticate(request)).toEqual({ allowed: true, identity: acme });
    const decision = await authenticate(new Request('https://api.test/'));
    expect(decision.allowed ? null : decision.denial.status).toBe(401);
  });

  it('gives no body to a HEAD', async () => {
    const head = new Request('https://api.test/', { method: 'HEAD' });
    const decision = await apiKeyAuth(saying(acme)).authenticate(head);
    expect(decision.allowed ? null : [decision.denial.status, decision.denial.body]).toEqual([401, null]);
  });

  it('hands on what the runtime passes', async () => {
    const { protect } = apiKeyAuth(saying(acme));
    const handler = protect((_, identity, env: { greeting: string }) => new Response(env.greeting + identity.client));
    expect(await (await handler(request, { greeting: 'hello ' })).text()).toBe('hello acme');
  });

  it('keeps a worker alive by its context, wherever that comes', async () => {
    const verifier = saying(acme);
    const context = { waitUntil: vi.fn() };
    await apiKeyAuth(verifier).protect((_, __, ...rest: unknown[]) => new Response(String(rest.length)))(
      request,
      null,
      context,
    );
    const work = Promise.resolve();
    verifier.asked[0]?.options?.waitUntil?.(work);
    expect(context.waitUntil).toHaveBeenCalledExactlyOnceWith(work);
    await apiKeyAuth(verifier).authenticate(request);
    expect(verifier.asked[1]?.options?.waitUntil).toBeUndefined();
  });
});
