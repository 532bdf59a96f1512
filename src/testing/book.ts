import type { KnownReason } from '../core/result.js';

/** Why the key server rejects a key: one of the known reasons, or any other word. */
export type Reason = KnownReason | (string & Record<never, never>);

/** What the key server knows of a key. */
export interface KeyRecord {
  readonly client: string;
  readonly tenant: string;
  readonly keyId?: string | undefined;
  /** The scopes in which the key is good. Default: its tenant alone. */
  readonly scopes?: readonly string[] | undefined;
  /** When the key ends: a `Date`, or milliseconds since the epoch. Default: never. */
  readonly expiresAt?: Date | number | undefined;
  /** Further fields of the verdict. The fields of the contract win over a claim of the same name. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** Where given, the key is rejected with it. */
  readonly reason?: Reason | undefined;
}

/** A record as it stands in the book, with the verdict that it leads to already written out. */
export interface KeyEntry {
  readonly client: string;
  readonly tenant: string;
  readonly keyId: string | undefined;
  readonly scopes: readonly string[];
  readonly expiresAt: number | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly verdict: string;
}

/** The keys that were issued, and those that are rejected whatever else is known of them. */
export class KeyBook {
  readonly #entries = new Map<string, KeyEntry>();
  readonly #rejected = new Map<string, Reason>();

  constructor(keys: Readonly<Record<string, KeyRecord>> = {}) {
    for (const [key, record] of Object.entries(keys)) this.issue(key, record);
  }

  issue(key: string, record: KeyRecord): void {
    const { client, tenant, keyId, scopes = [tenant], claims = {} } = record;
    const expiresAt = record.expiresAt === undefined ? undefined : new Date(record.expiresAt);
    const verdict = JSON.stringify({
      ...claims,
      valid: true,
      client,
      tenant,
      key_id: keyId,
      expires_at: expiresAt?.toISOString(),
    });
    this.#entries.set(key, { client, tenant, keyId, scopes, expiresAt: expiresAt?.getTime(), claims, verdict });
    if (record.reason === undefined) this.#rejected.delete(key);
    else this.#rejected.set(key, record.reason);
  }

  reject(key: string, reason: Reason): void {
    this.#rejected.set(key, reason);
  }

  forget(key: string): void {
    this.#entries.delete(key);
    this.#rejected.delete(key);
  }

  /** The key's entry, or the reason why it is rejected. */
  look(key: string, scope: string | undefined, now: number): KeyEntry | Reason {
    const rejected = this.#rejected.get(key);
    if (rejected !== undefined) return rejected;
    const entry = this.#entries.get(key);
    if (entry === undefined) return 'unknown_key';
    if (entry.expiresAt !== undefined && entry.expiresAt <= now) return 'expired';
    if (scope !== undefined && !entry.scopes.includes(scope)) return 'scope_mismatch';
    return entry;
  }
}
