import { createServer } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import { keyverify } from 'keyverify/fetch';
import { describe, expect, it, vi } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { all, listen, testAdapter } from './suite.js';

testAdapter('fetch handlers', async (verifier, handler) => {
  const handlers = Object.entries(all).map(
    ([path, options]) =>
      [path, keyverify(verifier, options).guard((_, identity) => Response.json(handler(identity)))] as const,
  );
  const byPath = new Map(handlers);
  const fetch = async (request: Request): Promise<Response> =>
    (await byPath.get(new URL(request.url).pathname)?.(request)) ?? new Response(null, { status: 404 });
  const toNode = getRequestListener(fetch);
  return await listen(createServer((req, res) => void toNode(req, res)));
});

describe('a door for requests', () => {
  const request = new Request('https://api.test/', { headers: { 'x-api-key': 'sk-1' } });

  it('admits for a loader, or gives the response to answer with', async () => {
    const { admit } = keyverify(saying(acme));
    expect(await admit(request)).toEqual({ allowed: true, identity: acme });
    const admission = await admit(new Request('https://api.test/'));
    expect(admission.allowed ? null : admission.response.status).toBe(401);
  });

  it('gives no body to a HEAD', async () => {
    const admission = await keyverify(saying(acme)).admit(new Request('https://api.test/', { method: 'HEAD' }));
    expect(admission.allowed ? null : [admission.response.status, admission.response.body]).toEqual([401, null]);
  });

  it('hands on what the runtime passes', async () => {
    const { guard } = keyverify(saying(acme));
    const handler = guard((_, identity, env: { greeting: string }) => new Response(env.greeting + identity.client));
    expect(await (await handler(request, { greeting: 'hello ' })).text()).toBe('hello acme');
  });

  it('keeps a worker alive by its context, wherever that comes', async () => {
    const verifier = saying(acme);
    const context = { waitUntil: vi.fn() };
    await keyverify(verifier).guard((_, __, ...rest: unknown[]) => new Response(String(rest.length)))(
      request,
      null,
      context,
    );
    const work = Promise.resolve();
    verifier.asked[0]?.options?.waitUntil?.(work);
    expect(context.waitUntil).toHaveBeenCalledExactlyOnceWith(work);
    await keyverify(verifier).admit(request);
    expect(verifier.asked[1]?.options?.waitUntil).toBeUndefined();
  });
});
