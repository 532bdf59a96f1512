import { VerifyFailure, type FailureKind } from '../core/failure.js';
import type { DefaultClaims, VerifyResult } from '../core/result.js';
import type { Verifier, VerifyOptions } from '../options/verify-options.js';
import { KeyBook, type KeyRecord, type Reason } from './book.js';

/** How the stand-in is set up. */
export interface StubVerifierOptions<FailOpen extends boolean = false> {
  /** The keys it knows, by key. Default: none. */
  readonly keys?: Readonly<Record<string, Omit<KeyRecord, 'scopes'>>>;
  /** What comes of a call while the stand-in is unavailable. Default: `false`. */
  readonly failOpen?: FailOpen;
}

const UNPRINTABLE = /\p{Cc}/u;

/** An in-memory stand-in for `KeyVerifier`: no network, no cache. */
export class StubVerifier<FailOpen extends boolean = false> implements Verifier<FailOpen> {
  readonly #book: KeyBook;
  readonly #failOpen: boolean;
  #failure: FailureKind | undefined;
  #calls = 0;

  constructor({ keys, failOpen = false }: { keys?: Readonly<Record<string, KeyRecord>>; failOpen?: boolean }) {
    this.#book = new KeyBook(keys);
    this.#failOpen = failOpen;
  }

  /** How often `verify()` was called. */
  get calls(): number {
    return this.#calls;
  }

  /** Rejects a key from now on, with this reason. Default: `'revoked'`. */
  reject(key: string, reason: Reason = 'revoked'): void {
    this.#book.reject(key, reason);
  }

  /** Fails every call from now on, as if the key server gave no verdict. Default: `'unreachable'`. */
  unavailable(kind: FailureKind = 'unreachable'): void {
    this.#failure = kind;
  }

  /** Ends `unavailable()`. */
  recover(): void {
    this.#failure = undefined;
  }

  verify(
    key: string | null | undefined,
    options?: VerifyOptions & { readonly failOpen?: undefined },
  ): Promise<VerifyResult<DefaultClaims, FailOpen>>;
  verify(key: string | null | undefined, options: VerifyOptions & { readonly failOpen: false }): Promise<VerifyResult>;
  verify(key: string | null | undefined, options?: VerifyOptions): Promise<VerifyResult<DefaultClaims, boolean>>;
  verify(key: string | null | undefined, options: VerifyOptions = {}): Promise<VerifyResult<DefaultClaims, boolean>> {
    this.#calls++;
    return new Promise((resolve) => {
      options.signal?.throwIfAborted();
      resolve(Object.freeze(this.#decide(key, options.failOpen ?? this.#failOpen)));
    });
  }

  #decide(key: string | null | undefined, failOpen: boolean): VerifyResult<DefaultClaims, boolean> {
    if (key === undefined || key === null || key === '')
      return { valid: false, source: 'local', reason: 'missing_key' };
    if (UNPRINTABLE.test(key)) return { valid: false, source: 'local', reason: 'malformed_key' };
    if (this.#failure !== undefined) {
      const failure = new VerifyFailure(this.#failure, `the stub is set to fail as ${this.#failure}`);
      return failOpen && failure.isOutage
        ? { valid: true, source: 'fail-open', client: null, tenant: null, failure }
        : { valid: false, source: 'fail-closed', reason: 'unavailable', failure };
    }
    const found = this.#book.look(key, undefined, Date.now());
    if (typeof found === 'string') return { valid: false, source: 'server', reason: found };
    const { client, tenant, keyId, claims, expiresAt } = found;
    return {
      valid: true,
      source: 'server',
      client,
      tenant,
      ...(keyId !== undefined && { keyId }),
      claims: Object.freeze({ ...claims }),
      verifiedAt: Date.now(),
      ...(expiresAt !== undefined && { expiresAt }),
    };
  }
}

/**
 * A stand-in for unit tests of whatever takes a `Verifier`. To test against the network's ways, use `startKeyServer`.
 *
 * @example
 * ```ts
 * const verifier = stubVerifier({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
 * verifier.unavailable('timeout');
 * ```
 */
export function stubVerifier<const FailOpen extends boolean = false>(
  options: StubVerifierOptions<FailOpen> = {},
): StubVerifier<FailOpen> {
  return new StubVerifier<FailOpen>(options);
}
