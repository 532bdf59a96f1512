import { KeyVerifier, isVerified, type KeyVerifierOptions, type Verifier, type VerifyResult } from 'keyverify';

const options: KeyVerifierOptions = { verifyUrl: 'https://admin.example.com/internal/verify-key', serviceToken: 't' };
const strict: Verifier<false> = new KeyVerifier(options);
const lenient = new KeyVerifier({ failOpen: true });

export async function client(key: string | undefined): Promise<string> {
  const result = await strict.verify(key, { maxAgeMs: 0 });
  if (result.valid) return result.client;
  if (result.source === 'fail-closed') throw result.failure;
  return result.reason;
}

export async function anyone(key: string): Promise<string | null> {
  const result = await lenient.verify(key);
  if (isVerified(result)) return result.client;
  // A result that failed open has no client, which the compiler knows.
  // @ts-expect-error
  if (result.valid) return result.client.toUpperCase();
  return result.reason;
}

export const sources = (result: VerifyResult): string => result.source;
