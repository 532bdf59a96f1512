import { createClerkClient } from '@clerk/backend';
import { Unkey } from '@unkey/api';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { apiKey } from 'better-auth/plugins';
import { KeyVerifier } from 'keyverify';

/** Asks about a key, and says what it heard in a few words. Rejects where the package does. */
export type Client = (key: string) => Promise<string>;

/** Those who ask a server. What it is to say in these cases, nothing or a 500, needs no protocol. */
export const clients: Readonly<Record<string, (serverUrl: string) => Client>> = {
  keyverify(serverUrl) {
    const verifier = new KeyVerifier({ verifyUrl: `${serverUrl}/internal/verify-key`, serviceToken: 'service-token' });
    return async (key) => {
      const result = await verifier.verify(key);
      return 'failure' in result ? `\`${result.reason}\` (${result.failure.kind})` : result.source;
    };
  },
  '@unkey/api'(serverUrl) {
    const unkey = new Unkey({ rootKey: 'unkey_root', serverURL: serverUrl });
    return async (key) => `valid: ${String((await unkey.keys.verifyKey({ key })).data.valid)}`;
  },
  '@clerk/backend'(serverUrl) {
    const clerk = createClerkClient({ secretKey: 'sk_test_clerk', apiUrl: serverUrl });
    return async (key) => `revoked: ${String((await clerk.apiKeys.verify(key)).revoked)}`;
  },
};

/** Better-auth asks no server but its database, which is out from when it has issued the key. */
export async function betterAuthWithoutDatabase(): Promise<{ readonly key: string; readonly client: Client }> {
  const tables = { user: [], session: [], account: [], verification: [], apikey: [], rateLimit: [] };
  const auth = betterAuth({
    baseURL: 'http://127.0.0.1:3000',
    secret: 'a secret of 32 characters or more',
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
  });
  const body = { name: 'acme', email: 'acme@example.com', password: 'a long password' };
  const { user } = await auth.api.signUpEmail({ body });
  const { key } = await auth.api.createApiKey({ body: { name: 'acme', userId: user.id } });
  const client: Client = async (asked) => {
    const { valid, error } = await auth.api.verifyApiKey({ body: { key: asked } });
    return valid ? 'valid' : `\`${String(error?.code)}\``;
  };
  if ((await client(key)) !== 'valid') throw new Error('better-auth does not know its own key');
  Object.defineProperty(tables, 'apikey', {
    get() {
      throw new Error('the database is out');
    },
  });
  return { key, client };
}
