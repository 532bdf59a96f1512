import type { VerifyResult } from 'keyverify';

import { SETTINGS, type KnownBad, type Sighting } from './wire.js';

/** TTLs are shortened by up to a tenth. */
export const SHORTEST_TTL = 0.9;

type Remembered = Pick<Sighting, 'forgottenAt' | 'freshUntil' | 'freshSince' | 'wasRejected' | 'rejectedAt'> & {
  readonly endsAt: number;
  /** Told to forget it, and nothing has been heard since. */
  readonly mustAsk: boolean;
  /** Until then an answer may arrive that nobody here gets to see. */
  readonly doubtedUntil: number;
};

const NOTHING: Remembered = {
  forgottenAt: -Infinity,
  freshUntil: -Infinity,
  freshSince: -Infinity,
  wasRejected: false,
  rejectedAt: -Infinity,
  endsAt: Infinity,
  mustAsk: false,
  doubtedUntil: -Infinity,
};

/** What a verifier has said, and so has to stand by when the key server gives no verdict. */
export class Memory {
  readonly #keys = new Map<number, Remembered>();

  of(key: number): Remembered {
    return this.#keys.get(key) ?? NOTHING;
  }

  knownBad(key: number, at: number): KnownBad | undefined {
    const { wasRejected, endsAt, mustAsk } = this.of(key);
    if (mustAsk) return 'invalidated';
    if (wasRejected) return 'refused';
    return endsAt < at ? 'ended' : undefined;
  }

  forget(key: number): void {
    this.#keys.set(key, { ...this.of(key), ...FORGOTTEN, forgottenAt: Date.now() });
  }

  /** The verifier may hear, or has heard, anything of the key: its question was for a caller who has left, or for none. */
  doubt(key: number, forMs = 0): void {
    this.#keys.set(key, { ...NOTHING, forgottenAt: this.of(key).forgottenAt, doubtedUntil: Date.now() + forMs });
  }

  learn(key: number, from: number, result: VerifyResult<unknown, boolean>): void {
    if (result.source === 'fail-open' || result.source === 'fail-closed') return;
    const old = this.of(key);
    // A rejection doesn't say when it was asked for: the flight lasted that long at most.
    const since = result.valid ? result.verifiedAt : from - SETTINGS.timeoutMs;
    if (since <= old.forgottenAt || since < old.freshSince || Date.now() < old.doubtedUntil) return;
    if (!result.valid && result.source !== 'server') {
      // News, but of an unknown age: it came to a refresh that nobody waited for.
      if (!old.wasRejected) this.doubt(key);
      return;
    }
    const ttl = result.valid ? SETTINGS.cacheTtlMs : SETTINGS.rejectedTtlMs;
    const endsAt = result.valid ? (result.expiresAt ?? Infinity) : Infinity;
    this.#keys.set(key, {
      forgottenAt: old.forgottenAt,
      freshUntil: Math.min(since + ttl * SHORTEST_TTL, endsAt),
      freshSince: since,
      wasRejected: !result.valid,
      rejectedAt: result.valid ? old.rejectedAt : since,
      endsAt,
      mustAsk: false,
      doubtedUntil: -Infinity,
    });
  }
}

const FORGOTTEN = { freshUntil: -Infinity, freshSince: -Infinity, mustAsk: true } as const;
