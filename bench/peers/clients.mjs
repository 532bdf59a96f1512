import { createClerkClient } from '@clerk/backend';
import { Unkey } from '@unkey/api';

import { KeyVerifier } from '../../dist/index.js';
import { betterAuth } from '../lib/better-auth.mjs';
import { TOKEN } from '../lib/keys.mjs';

/**
 * Packages that ask a server about a key. A client resolves to its answer in a few words and rejects where the package does.
 * The server hangs, answers 500 or is down in these cases, so it needn't speak the protocol of each.
 */
export const clients = {
  keyverify(serverUrl) {
    const verifier = new KeyVerifier({ verifyUrl: `${serverUrl}/internal/verify-key`, serviceToken: TOKEN });
    return async (key) => {
      const result = await verifier.verify(key);
      return 'failure' in result ? `\`${result.reason}\` (${result.failure.kind})` : result.source;
    };
  },
  '@unkey/api'(serverUrl) {
    const unkey = new Unkey({ rootKey: 'unkey_root', serverURL: serverUrl });
    return async (key) => `valid: ${(await unkey.keys.verifyKey({ key })).data.valid}`;
  },
  '@clerk/backend'(serverUrl) {
    const clerk = createClerkClient({ secretKey: 'sk_test_clerk', apiUrl: serverUrl });
    return async (key) => `revoked: ${(await clerk.apiKeys.verify(key)).revoked}`;
  },
};

/** better-auth keeps keys in a database. It goes down once the key has been issued. */
export async function betterAuthWithoutDatabase() {
  const { keys, verify, stop } = await betterAuth();
  const [key] = keys;
  if (!(await verify(key)).valid) throw new Error('better-auth does not know its own key');
  stop();
  const client = async (asked) => {
    const { valid, error } = await verify(asked);
    return valid ? 'valid' : `\`${error?.code}\``;
  };
  return { key, client };
}
