/** What an entry of a shared cache is about. */
export interface SharedKey {
  /** SHA-256 of the key, as 64 hexadecimal digits. A store must not show it. */
  readonly fingerprint: string;
  /** What else a verdict depends on: the key server, the scope, the protocol and the format of entries, as one text. */
  readonly namespace: string;
}

/** An entry as it lies in the store. */
export interface SharedEntry {
  readonly value: string;
  /** The `fence` with which it was put. */
  readonly fence: number;
}

/** What a store says of a key. */
export interface SharedRead {
  /** The time by the clock of the store, in epoch milliseconds: the fence of an entry that is put later. */
  readonly now: number;
  /** `undefined` if there is none that can be trusted. */
  readonly entry?: SharedEntry | undefined;
  /** Something is there, but it was forged, altered or moved, or another secret sealed it. */
  readonly unsealable?: boolean | undefined;
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
  get(key: SharedKey): Promise<SharedRead>;
  /** Puts an entry unless a later one is there, atomically in the store. Resolves to whether it is there now. */
  put(key: SharedKey, value: string, options: SharedPut): Promise<boolean>;
  /** Whether this process is the one to ask about the key: `true` for the first of all within `ms` milliseconds. */
  lease(key: SharedKey, ms: number): Promise<boolean>;
}
