import type { VerifyResult } from 'keyverify';

import { LAW } from './wire.js';

/** TTLs are shortened by up to a tenth. */
const SHORTEST = 0.9;

interface Remembered {
  forgottenAt: number;
  usableUntil: number;
  usableSince: number;
}

/** What a verifier has said, and so has to stand by when the key server gives no verdict. */
export class Memory {
  readonly #keys = new Map<number, Remembered>();

  of(key: number): Readonly<Remembered> {
    return { ...this.#entry(key) };
  }

  forget(key: number): void {
    Object.assign(this.#entry(key), { forgottenAt: Date.now(), usableUntil: -Infinity, usableSince: -Infinity });
  }

  learn(key: number, from: number, result: VerifyResult<unknown, boolean>): void {
    if (result.source === 'fail-open' || result.source === 'fail-closed') return;
    const entry = this.#entry(key);
    // A rejection doesn't say when it was asked for: the flight was in the air for so long at the most.
    const since = result.valid ? result.verifiedAt : from - LAW.timeoutMs;
    if (since <= entry.forgottenAt || since < entry.usableSince) return;
    if (!result.valid && result.source !== 'server') return;
    const ttl = result.valid ? LAW.cacheTtlMs : LAW.rejectedTtlMs;
    // Past its TTL or its end, whichever is sooner, a verdict is honoured for so long.
    const fresh = Math.min(since + ttl * SHORTEST, result.valid ? (result.expiresAt ?? Infinity) : Infinity);
    entry.usableSince = since;
    entry.usableUntil = fresh + LAW.staleIfErrorMs;
  }

  #entry(key: number): Remembered {
    let entry = this.#keys.get(key);
    if (entry === undefined) {
      entry = { forgottenAt: -Infinity, usableUntil: -Infinity, usableSince: -Infinity };
      this.#keys.set(key, entry);
    }
    return entry;
  }
}
