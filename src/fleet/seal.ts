import { lazy } from '../core/lazy.js';
import { check, list } from '../core/schema.js';
import { whenReady } from '../core/when-ready.js';
import { cryptoOfRuntime, type SealingCrypto } from './crypto.js';
import type { SharedKey } from './shared-cache.js';

/** Lengths of ciphertexts tell nothing: plaintexts are filled up to a multiple of this, in bytes. */
const BLOCK = 256;

/** So random nonces stay far from the bound of AES-GCM: each day has a key of its own. */
const DAY_MS = 86_400_000;
const MAX_KEYS = 8;

/** The shortest secret, in characters: 32 random bytes as base64 have 43, as hexadecimal digits 64. */
const MIN_SECRET = 32;

const encoder = lazy(() => new TextEncoder());

type Key = Uint8Array<ArrayBuffer>;

/** Seals values with one secret, bound to where they lie. Waits only where the runtime's cryptography does. */
export class Sealer {
  readonly #secret: string;
  readonly #crypto: SealingCrypto;
  readonly #keys = new Map<string, Key | Promise<Key>>();

  constructor(secret: string, crypto: SealingCrypto) {
    this.#secret = secret;
    this.#crypto = crypto;
  }

  /** Where the entry of a key lies: it tells nothing of the key, and differs for every secret. */
  idOf({ fingerprint, namespace }: SharedKey): string | Promise<string> {
    return whenReady(this.#key('index'), (key) => this.#crypto.hmac(key, `${namespace}\n${fingerprint}`));
  }

  async seal(text: string, context: string, at: number): Promise<string> {
    const { length } = encoder().encode(text);
    // JSON may end in spaces.
    const padded = text + ' '.repeat(Math.ceil(length / BLOCK) * BLOCK - length);
    return await this.#crypto.seal(await this.#sealingKey(at), padded, context);
  }

  /** `undefined` for what was not sealed with this secret for this context. */
  open(sealed: string, context: string, at: number): string | undefined | Promise<string | undefined> {
    try {
      const text = whenReady(this.#sealingKey(at), (key) => this.#crypto.open(key, sealed, context));
      return text instanceof Promise ? text.catch(() => undefined) : text;
    } catch {
      return undefined;
    }
  }

  #sealingKey(at: number): Key | Promise<Key> {
    return this.#key(`seal ${Math.floor(at / DAY_MS)}`);
  }

  #key(purpose: string): Key | Promise<Key> {
    const known = this.#keys.get(purpose);
    if (known !== undefined) return known;
    // A writer of the store picks the day, so the number of keys that are kept is bounded.
    if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
    const key = this.#crypto.derive(this.#secret, `keyverify shared cache, ${purpose}`);
    this.#keys.set(purpose, key);
    return key;
  }
}

/** One secret, or several. */
export type Secrets = string | readonly [string, ...string[]];

const isSecret = (value: unknown): value is string => typeof value === 'string' && value.length >= MIN_SECRET;

const SECRET = 'at least 32 bytes of random text';
export const SECRETS = `${SECRET}, or a list of such secrets`;

/** What an option for secrets has to be. In a list, the one that is wrong is named. */
export const secretsOption = (given: unknown) =>
  Array.isArray(given) && given.length > 0
    ? list<Secrets & readonly string[]>(check(isSecret, SECRET))
    : check((value): value is Secrets => isSecret(value), SECRETS);

/** One sealer for each secret: the first seals, all open. */
export function sealers(secrets: Secrets): readonly [Sealer, ...Sealer[]] {
  const [first, ...others] = typeof secrets === 'string' ? ([secrets] as const) : secrets;
  const runtime = cryptoOfRuntime();
  return [new Sealer(first, runtime), ...others.map((other) => new Sealer(other, runtime))];
}
