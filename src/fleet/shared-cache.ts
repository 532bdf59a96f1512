import type { FleetSupport } from './support.js';

/** Identifies an entry of a shared cache. */
export interface SharedKey {
  /** SHA-256 of the key, as 64 hexadecimal digits. It must not be readable in the store. */
  readonly fingerprint: string;
  /** What else a verdict depends on: the key server, the scope, the protocol and the format of entries, as one text. */
  readonly namespace: string;
}

/** An entry in the store. */
export interface SharedEntry {
  /** The value with which it was put. */
  readonly value: string;
  /** The `fence` with which it was put. */
  readonly fence: number;
}

/** What `get()` resolves to. */
export interface SharedRead {
  /** The time of the store's clock, in epoch milliseconds: the fence of an entry that is put later. */
  readonly now: number;
  /** Whether `now` is an estimate, as `mayEstimate` allows: it may be too late, and is no fence. Default: `false`. */
  readonly isEstimate?: boolean | undefined;
  /** The entry; `undefined` if there is none that can be trusted. */
  readonly entry?: SharedEntry | undefined;
  /** There is an entry, but it was forged, altered or moved, or sealed with another secret. */
  readonly unsealable?: boolean | undefined;
}

/** How an entry is looked for. */
export interface SharedGet {
  /**
   * Whether it will do to know how old an entry is at the most: `now` may then be an estimate that is never too early, where
   * that spares a question for the time. Default: `false`.
   */
  readonly mayEstimate?: boolean | undefined;
}

/** How an entry is put. */
export interface SharedPut {
  /** The time of the store before the question was asked, by `get()`. An entry with a later fence stays. */
  readonly fence: number;
  /** Whether it also replaces an entry with the same fence. */
  readonly replacesEqual: boolean;
  /** How long the store keeps it, in milliseconds. */
  readonly ttlMs: number;
}

/**
 * Where processes share verdicts. Values are opaque text, and confidential: a store outside the process must encrypt and
 * authenticate them, as `redisCache()` does. It may fail in any way and be as slow as it likes: each operation has a
 * deadline, and verdicts are the same without it.
 */
export interface SharedCache {
  /** The code that uses it: `fleet` from `keyverify/fleet`. */
  readonly fleet: FleetSupport;
  /** Reads an entry, and the time of the store. */
  get(key: SharedKey, options?: SharedGet): Promise<SharedRead>;
  /** Puts an entry unless a later one is there, as one atomic operation of the store. Resolves to whether it was put. */
  put(key: SharedKey, value: string, options: SharedPut): Promise<boolean>;
  /** Whether this process should ask about the key: `true` only for the first process within `ms` milliseconds. */
  lease(key: SharedKey, ms: number): Promise<boolean>;
}
