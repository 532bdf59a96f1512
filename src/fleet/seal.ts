import { InvalidOptionsError } from '../core/errors.js';
import { lazy } from '../core/lazy.js';
import { cryptoOfRuntime, type Crypto } from './crypto.js';
import type { SharedKey } from './shared-cache.js';

/** Lengths of ciphertexts tell nothing: plaintexts are filled up to a multiple of this, in bytes. */
const BLOCK = 256;

const NONCE_BYTES = 12;

/** So random nonces stay far from the bound of AES-GCM: each day has a key of its own. */
const DAY_MS = 86_400_000;
const MAX_KEYS = 8;

/** The shortest secret, in characters: 32 random bytes as base64 have 43, as hexadecimal digits 64. */
const MIN_SECRET = 32;

const utf8 = lazy(() => ({ encoder: new TextEncoder(), decoder: new TextDecoder() }));
const encode = (text: string): Uint8Array<ArrayBuffer> => utf8().encoder.encode(text);

/** Seals values with one secret, bound to where they lie. */
export class Sealer {
  readonly #secret: Uint8Array<ArrayBuffer>;
  readonly #crypto: Crypto;
  readonly #keys = new Map<string, Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>>();

  constructor(secret: string, crypto: Crypto) {
    this.#secret = encode(secret);
    this.#crypto = crypto;
  }

  /** Where the entry of a key lies: it tells nothing of the key, and differs for every secret. */
  async idOf({ fingerprint, namespace }: SharedKey): Promise<string> {
    const mac = await this.#crypto.hmac(await this.#key('index'), encode(`${namespace}\n${fingerprint}`));
    return toBase64Url(mac);
  }

  async seal(text: string, context: string, at: number): Promise<string> {
    const plain = encode(text);
    // JSON may end in spaces.
    const padded = new Uint8Array(Math.ceil(plain.length / BLOCK) * BLOCK).fill(0x20);
    padded.set(plain);
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await this.#crypto.seal(await this.#sealingKey(at), nonce, padded, encode(context));
    const joined = new Uint8Array(NONCE_BYTES + sealed.length);
    joined.set(nonce);
    joined.set(sealed, NONCE_BYTES);
    return toBase64Url(joined);
  }

  /** `undefined` for what was not sealed with this secret for this context. */
  async open(sealed: string, context: string, at: number): Promise<string | undefined> {
    try {
      const bytes = fromBase64Url(sealed);
      const key = await this.#sealingKey(at);
      const [nonce, rest] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES)];
      return utf8().decoder.decode(await this.#crypto.open(key, nonce, rest, encode(context)));
    } catch {
      return undefined;
    }
  }

  #sealingKey(at: number): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    return this.#key(`seal ${Math.floor(at / DAY_MS)}`);
  }

  #key(purpose: string): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    const known = this.#keys.get(purpose);
    if (known !== undefined) return known;
    // A writer of the store picks the day, so the number of keys that are kept is bounded.
    if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
    const key = this.#crypto.derive(this.#secret, encode(`keyverify shared cache, ${purpose}`));
    this.#keys.set(purpose, key);
    return key;
  }
}

/** One sealer for each secret: the first seals, all open. */
export function sealers(secret: string | readonly string[]): readonly [Sealer, ...Sealer[]] {
  const given: readonly unknown[] = [secret].flat();
  const secrets = given.filter((text) => typeof text === 'string' && text.length >= MIN_SECRET).map(String);
  const [first, ...others] = secrets;
  if (first === undefined || secrets.length !== given.length)
    throw new InvalidOptionsError(['secret: expected 32 random bytes as text, or a list of such secrets']);
  const runtime = cryptoOfRuntime();
  return [new Sealer(first, runtime), ...others.map((other) => new Sealer(other, runtime))];
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
