import type { $ZodIssue } from 'zod/v4/core';

import { lazy } from '../core/lazy.js';
import { rejected, type DefaultClaims, type Rejected } from '../core/result.js';
import { isObject, isText, loose, optional, parse, check } from '../core/schema.js';
import { containsSecret, sanitize } from '../core/redact.js';

/** What the JSON of a verdict says, before a caller's schema has seen the claims. */
export type RawVerdict =
  | { readonly kind: 'rejected'; readonly result: Rejected }
  | {
      readonly kind: 'verified';
      readonly client: string;
      readonly tenant: string;
      readonly keyId: string | undefined;
      readonly expiresAt: number | undefined;
      readonly claims: DefaultClaims;
    }
  | { readonly kind: 'invalid'; readonly problem: string };

const isTime = (value: unknown): value is string | number => typeof value === 'string' || Number.isFinite(value);

const identity = lazy(() => {
  const text = check(isText);
  return loose({
    valid: check((valid): valid is true => valid === true),
    client: text,
    tenant: text,
    key_id: optional(check((id): id is string | null => id === null || isText(id))),
    expires_at: optional(check((at): at is string | number | null => at === null || isTime(at))),
  });
});

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Epoch seconds past the year 5138 are milliseconds sent by mistake: they would let a key outlive its end. */
const LATEST_SECONDS = 1e11;

function epochMs(expiresAt: string | number): number {
  if (typeof expiresAt === 'number') return expiresAt < LATEST_SECONDS ? expiresAt * 1000 : NaN;
  return RFC_3339.test(expiresAt) ? Date.parse(expiresAt.replace(' ', 'T').toUpperCase()) : NaN;
}

const refused = (reason: string): RawVerdict => ({ kind: 'rejected', result: rejected('server', reason) });

/** A refusal stands, whatever became of its reason: only a valid verdict has to be whole. */
const speakable = (reason: unknown, secrets: readonly string[]): reason is string =>
  isText(reason) && !containsSecret(reason, secrets);

const invalid = (problem: string): RawVerdict => ({ kind: 'invalid', problem });

function wrong(issues: readonly $ZodIssue[]): string {
  const places = issues.map((issue) => issue.path.join('.')).filter((path) => path !== '');
  return places.length === 0 ? 'not a JSON object' : `missing or wrong: ${places.join(', ')}`;
}

/** Reads the JSON of a response, or says in a few words why it is no verdict. `askedAt` is in epoch milliseconds. */
export function readVerdict(json: unknown, secrets: readonly string[], askedAt: number): RawVerdict {
  if (isObject(json) && Reflect.get(json, 'valid') === false) {
    const reason: unknown = Reflect.get(json, 'reason');
    return refused(speakable(reason, secrets) ? reason : 'rejected');
  }
  const read = parse(identity(), json);
  if (!read.success) return invalid(wrong(read.error.issues));
  // Whatever has no place of its own in the result is a claim.
  const { valid: _valid, client, tenant, key_id: keyId, expires_at: expiry, ...claims } = read.data;
  if ([client, tenant, keyId ?? ''].some((field) => containsSecret(field, secrets)))
    return invalid('client, tenant or key_id holds a secret');
  const expiresAt = isTime(expiry) ? epochMs(expiry) : undefined;
  if (Number.isNaN(expiresAt)) return invalid('expires_at is neither an RFC 3339 time nor epoch seconds');
  if (expiresAt !== undefined && expiresAt <= askedAt) return refused('expired');
  return { kind: 'verified', client, tenant, keyId: keyId ?? undefined, expiresAt, claims: sanitize(claims, secrets) };
}
