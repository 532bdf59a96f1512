import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { apiKey } from 'better-auth/plugins';

import { verifyKey } from './key-route.mjs';

/** A key server on better-auth, by the recipe of docs/key-server.md. `database.down` makes every query fail. */
export async function startBetterAuth(secret) {
  const tables = { user: [], session: [], account: [], verification: [], apikey: [], rateLimit: [] };
  const database = { down: false };
  const auth = betterAuth({
    baseURL: 'http://127.0.0.1:3000',
    secret: 'a secret of 32 characters or more',
    database: (options) => breakable(memoryAdapter(tables)(options), database),
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ enableMetadata: true })],
  });
  const email = 'acme@example.com';
  const { user } = await auth.api.signUpEmail({ body: { name: 'acme', email, password: 'a long password' } });

  const server = createServer(async (request, response) => {
    const reply = (status, body = {}) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.headers['x-internal-secret'] !== secret) return reply(401);
    const { key } = await json(request);
    try {
      reply(200, await verifyKey(auth, key));
    } catch {
      reply(503);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    userId: user.id,
    database,
    issue: async (options) =>
      await auth.api.createApiKey({ body: { userId: user.id, metadata: { tenant: 'cust-A' }, ...options } }),
    disable: async (keyId) => {
      await auth.api.updateApiKey({ body: { keyId, userId: user.id, enabled: false } });
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function breakable(adapter, database) {
  return new Proxy(adapter, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args) => {
        if (database.down) throw new Error('the database is down');
        return Reflect.apply(value, target, args);
      };
    },
  });
}
