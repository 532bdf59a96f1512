import { fromHex, toHex } from '../core/fingerprint.js';
import { lazy } from '../core/lazy.js';
import { encode } from './crypto.js';
import type { Secrets } from './seal.js';

const HMAC = { name: 'HMAC', hash: 'SHA-256' };

/** A SHA-256 in hexadecimal digits. */
const SIGNATURE = /^[0-9a-f]{64}$/i;

/** The longest signature, in characters. */
export const MAX_SIGNATURE = 64;

/** Signs events and checks their signatures, HMAC-SHA-256 in hexadecimal digits: every language has that at hand. */
export class Signer {
  readonly #keys: () => readonly [Promise<CryptoKey>, ...Promise<CryptoKey>[]];

  /** The first secret signs; a signature by any of them counts. */
  constructor(secrets: Secrets) {
    const [first, ...others] = typeof secrets === 'string' ? ([secrets] as const) : secrets;
    const load = async (secret: string): Promise<CryptoKey> =>
      await crypto.subtle.importKey('raw', encode(secret), HMAC, false, ['sign', 'verify']);
    this.#keys = lazy(() => [load(first), ...others.map(load)]);
  }

  async sign(event: string): Promise<string> {
    const [key] = this.#keys();
    const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', await key, encode(event)));
    return toHex(String.fromCharCode(...bytes));
  }

  async isSigned(event: string, signature: string): Promise<boolean> {
    if (!SIGNATURE.test(signature)) return false;
    const bytes = Uint8Array.from(fromHex(signature), (byte) => byte.charCodeAt(0));
    const verified = this.#keys().map(
      async (key) => await crypto.subtle.verify('HMAC', await key, bytes, encode(event)),
    );
    return (await Promise.all(verified)).includes(true);
  }
}
