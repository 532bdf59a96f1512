import { hash } from 'node:crypto';

import { InvalidOptionsError } from '../core/errors.js';
import type { Rejected } from '../core/result.js';
import { checkKey, checkReason, keyIssues, keysIssues, recordIssues, type RecordRules } from './validate.js';

/** What the key server knows about a key. */
export interface KeyRecord {
  /** Who uses the key: a person, a service or an application. */
  readonly client: string;
  /** The customer that the client belongs to. */
  readonly tenant: string;
  /** An identifier of the key that is not secret. Default: none. */
  readonly keyId?: string | undefined;
  /** The scopes that the key is valid for. Default: its tenant alone. */
  readonly scopes?: readonly string[] | undefined;
  /** When the key expires: a `Date`, or epoch milliseconds. Default: never. */
  readonly expiresAt?: Date | number | undefined;
  /** Further fields of the verdict. A claim can't have the name of a field of the contract. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** Rejects the key for this reason. Default: the key is valid. */
  readonly reason?: Rejected['reason'] | undefined;
}

/** The fields of a verdict of docs/protocol.md that are no claims. */
export const CONTRACT_FIELDS = ['valid', 'client', 'tenant', 'key_id', 'expires_at'] as const;

/** A record with its defaults. */
export interface IssuedKey {
  readonly client: string;
  readonly tenant: string;
  readonly keyId: string | undefined;
  readonly scopes: readonly string[];
  readonly expiresAt: number | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** With its verdict already written out as JSON. */
export interface BookEntry extends IssuedKey {
  readonly verdict: string;
}

/** The keys that were issued, and those that are rejected. */
export class KeyBook {
  readonly #issued = new Map<string, BookEntry>();
  readonly #rejected = new Map<string, Rejected['reason']>();

  readonly #rules: RecordRules;

  constructor(keys: Readonly<Record<string, KeyRecord>> = {}, rules: RecordRules) {
    this.#rules = rules;
    const issues = keysIssues(keys, rules);
    if (issues.length > 0) throw new InvalidOptionsError(issues);
    for (const [key, record] of Object.entries(keys)) this.#add(key, record);
  }

  issue(key: string, record: KeyRecord): void {
    checkKey(key);
    const issues = [...keyIssues(key, 'key'), ...recordIssues(record, this.#rules, 'the record')];
    if (issues.length > 0) throw new InvalidOptionsError(issues);
    this.#add(key, record);
  }

  #add(key: string, record: KeyRecord): void {
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
    this.#issued.set(key, { client, tenant, keyId, scopes, expiresAt: expiresAt?.getTime(), claims, verdict });
    if (record.reason === undefined) this.#rejected.delete(key);
    else this.#rejected.set(key, record.reason);
  }

  /** The key that has this SHA-256, in hexadecimal digits. */
  keyOfHash(digits: string): string | undefined {
    return [...this.#issued.keys()].find((key) => hash('sha256', key, 'hex') === digits);
  }

  /** Whether it was issued, and not forgotten. */
  has(key: string): boolean {
    checkKey(key);
    return this.#issued.has(key);
  }

  reject(key: string, reason: Rejected['reason']): void {
    checkKey(key);
    checkReason(reason);
    const issues = keyIssues(key, 'key');
    if (issues.length > 0) throw new InvalidOptionsError(issues);
    this.#rejected.set(key, reason);
  }

  forget(key: string): void {
    checkKey(key);
    this.#issued.delete(key);
    this.#rejected.delete(key);
  }

  /** The key, or the reason why it is rejected. `now` is in epoch milliseconds. */
  find(key: string, scope: string | undefined, now: number): BookEntry | Rejected['reason'] {
    const rejected = this.#rejected.get(key);
    if (rejected !== undefined) return rejected;
    const issued = this.#issued.get(key);
    if (issued === undefined) return 'unknown_key';
    if (issued.expiresAt !== undefined && issued.expiresAt <= now) return 'expired';
    if (scope !== undefined && !issued.scopes.includes(scope)) return 'scope_mismatch';
    return issued;
  }
}
