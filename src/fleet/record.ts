import type { DefaultClaims } from '../core/result.js';
import { isObject, isText } from '../core/schema.js';
import type { Verdict } from '../core/verdict.js';
import { checkAnswer } from '../protocol/decode.js';
import type { DecodedVerdict, ProtocolAnswer } from '../protocol/protocol.js';
import { parseRfc3339 } from '../protocol/time.js';
import { isPosition, type Positions } from './position.js';

/** Part of every namespace: entries of another format are never found. */
export const FORMAT = 1;

/** A verdict of another process. */
export interface SharedVerdict {
  readonly decoded: DecodedVerdict;
  /** When it was asked for, by the wall clock of the process that asked, in epoch milliseconds. */
  readonly askedAt: number;
  /** Where the streams of revocations stood for that process when it asked. */
  readonly positions: Positions;
}

/** A verdict as text: what the key server said, not what a schema made of it. `undefined` for claims that are not JSON. */
export function toRecord(
  { result, freshness, askedAt, rawClaims }: Verdict<unknown>,
  positions: Positions,
): string | undefined {
  const verdict = result.valid
    ? {
        valid: true,
        client: result.client,
        tenant: result.tenant,
        key_id: result.keyId,
        expires_at: result.expiresAt === undefined ? undefined : new Date(result.expiresAt).toISOString(),
        claims: rawClaims,
      }
    : { valid: false, reason: result.reason };
  const { maxAgeMs, noStore, noStale } = freshness;
  try {
    // Without a limit, maxAgeMs becomes null.
    return JSON.stringify({ askedAt: askedAt.wall, maxAgeMs, noStore, noStale, positions, verdict });
  } catch {
    return undefined;
  }
}

/** Reads a record; a verdict is checked like one from the wire. `undefined` if it is none. */
export function parseRecord(text: string, secrets: readonly string[]): SharedVerdict | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!hasRecordFields(record)) return undefined;
  const { askedAt, maxAgeMs, noStore, noStale, positions } = record;
  if (typeof askedAt !== 'number' || !isPositions(positions)) return undefined;
  if (typeof noStore !== 'boolean' || typeof noStale !== 'boolean') return undefined;
  if (maxAgeMs !== null && typeof maxAgeMs !== 'number') return undefined;
  const freshness = { maxAgeMs: maxAgeMs ?? Infinity, noStore, noStale };
  const answer = toAnswer(record.verdict);
  const decoded = answer && checkAnswer(answer, 200, freshness, { secrets, askedAt, scope: undefined });
  return decoded === undefined || 'failure' in decoded ? undefined : { decoded, askedAt, positions };
}

/** Claims lie in a field of their own, so that none of them can pass for another field. */
function toAnswer(verdict: unknown): ProtocolAnswer | undefined {
  if (!hasVerdictFields(verdict)) return undefined;
  const { valid, reason, client, tenant, key_id: keyId, expires_at: expiry, claims } = verdict;
  if (valid === false) return { kind: 'rejected', reason: isText(reason) ? reason : undefined };
  if (valid !== true || !isText(client) || !isText(tenant) || !isClaims(claims)) return undefined;
  if (keyId !== undefined && !isText(keyId)) return undefined;
  // What is no time becomes NaN, which is refused.
  const expiresAt = expiry === undefined ? undefined : parseRfc3339(isText(expiry) ? expiry : '');
  return { kind: 'verified', client, tenant, keyId, expiresAt, claims };
}

type Field = 'askedAt' | 'maxAgeMs' | 'noStore' | 'noStale' | 'positions' | 'verdict';
const hasRecordFields = (value: unknown): value is Readonly<Partial<Record<Field, unknown>>> => isObject(value);

type VerdictField = 'valid' | 'reason' | 'client' | 'tenant' | 'key_id' | 'expires_at' | 'claims';
const hasVerdictFields = (value: unknown): value is Readonly<Partial<Record<VerdictField, unknown>>> => isObject(value);

const isClaims = (value: unknown): value is DefaultClaims => isObject(value);

const isPositions = (value: unknown): value is Positions => isObject(value) && Object.values(value).every(isPosition);
