import { betterAuth as build } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { apiKey } from 'better-auth/plugins';

/** better-auth with its API keys in memory, its fastest set-up. `stop()` makes every later read of a key fail. */
export async function betterAuth() {
  const tables = { user: [], session: [], account: [], verification: [], apikey: [], rateLimit: [] };
  const auth = build({
    baseURL: 'http://127.0.0.1:3000',
    secret: 'a secret of 32 characters or more',
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
  });
  const { user } = await auth.api.signUpEmail({
    body: { name: 'acme', email: 'acme@example.com', password: 'a long password' },
  });
  const keys = [];
  for (let i = 0; i < 8; i++)
    keys.push((await auth.api.createApiKey({ body: { name: `key ${i}`, userId: user.id } })).key);
  return {
    keys,
    verify: async (key) => await auth.api.verifyApiKey({ body: { key } }),
    stop() {
      Object.defineProperty(tables, 'apikey', {
        get() {
          throw new Error('the database is down');
        },
      });
    },
  };
}
