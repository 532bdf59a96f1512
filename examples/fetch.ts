import { serve } from '@hono/node-server';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/fetch';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const { protect, authenticate } = apiKeyAuth(verifier);

// A handler of a worker, of Bun.serve, of Deno.serve, of a route of Next.js.
export const GET = protect((_request, identity) => Response.json({ tenant: identity.tenant }));

// A loader of SvelteKit or Remix, which gets more than the request.
export async function loader({ request }: { request: Request }): Promise<Response> {
  const decision = await authenticate(request);
  if (!decision.allowed) return decision.denial;
  return Response.json({ tenant: decision.identity.tenant });
}

const fetch = async (request: Request): Promise<Response> =>
  new URL(request.url).pathname === '/loader' ? await loader({ request }) : await GET(request);

serve({ fetch, port: Number(process.env['PORT'] ?? 3000), hostname: '127.0.0.1' }, (address) => {
  console.log('listening', address);
});
