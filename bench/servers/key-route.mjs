import { createHash } from 'node:crypto';

/** The recipe of docs/key-server.md: what better-auth says about a key, or an error where its database gives no answer. */
export async function verifyKey(auth, key) {
  const result = await auth.api.verifyApiKey({ body: { key } });
  if (result.error?.code !== 'INVALID_API_KEY') return result;
  // better-auth says the same when its database is down: only the database knows that there is no such key.
  const { adapter } = await auth.$context;
  const value = createHash('sha256').update(key).digest('base64url');
  const known = await adapter.findOne({ model: 'apikey', where: [{ field: 'key', value }] });
  if (known !== null) throw new Error('the database failed for a moment');
  return result;
}
