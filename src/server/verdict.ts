import type { $ZodIssue } from 'zod/v4/core';
import * as z from 'zod/mini';

import { once } from '../once.js';
import type { DefaultClaims, Rejected } from '../result.js';
import { holdsSecret, purify } from './secrets.js';

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

// Two objects, not a discriminated union, which would come to 1 kB more in a browser.
const schemas = once(() => {
  // Not by its length: that check asks anything that has one, and what it has need not be a number.
  const name = z.string().check(z.refine((text) => text !== ''));
  return {
    Fields: z.looseObject({ valid: z.boolean() }),
    Identity: z.object({
      client: name,
      tenant: name,
      key_id: z.nullish(name),
      expires_at: z.nullish(z.union([z.string(), z.number()])),
    }),
  };
});

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Epoch seconds past the year 5138 are milliseconds sent by mistake: they would let a key outlive its end. */
const LATEST_SECONDS = 1e11;

function epochMs(expiresAt: string | number): number {
  if (typeof expiresAt === 'number') return expiresAt < LATEST_SECONDS ? expiresAt * 1000 : NaN;
  return RFC_3339.test(expiresAt) ? Date.parse(expiresAt.replace(' ', 'T').toUpperCase()) : NaN;
}

export function rejected(reason: string): { readonly kind: 'rejected'; readonly result: Rejected } {
  return { kind: 'rejected', result: Object.freeze({ valid: false, source: 'server', reason }) };
}

/** A refusal stands, whatever became of its reason: only a valid verdict has to be whole. */
const speakable = (reason: unknown, secrets: readonly string[]): reason is string =>
  typeof reason === 'string' && reason !== '' && !holdsSecret(reason, secrets);

const invalid = (problem: string): RawVerdict => ({ kind: 'invalid', problem });

function wrong(issues: readonly $ZodIssue[]): string {
  const places = issues.map((issue) => issue.path.join('.')).filter((path) => path !== '');
  return places.length === 0 ? 'not a JSON object' : `missing or wrong: ${places.join(', ')}`;
}

/** Reads the JSON of a response, or says in a few words why it is no verdict. `askedAt` is in epoch milliseconds. */
export function readVerdict(json: unknown, secrets: readonly string[], askedAt: number): RawVerdict {
  const { Fields, Identity } = schemas();
  const fields = Fields.safeParse(json);
  if (!fields.success) return invalid(wrong(fields.error.issues));
  const { valid, reason } = fields.data;
  if (!valid) return rejected(speakable(reason, secrets) ? reason : 'rejected');

  const identity = Identity.safeParse(json);
  if (!identity.success) return invalid(wrong(identity.error.issues));
  const { client, tenant, key_id: keyId, expires_at: expiry } = identity.data;
  if ([client, tenant, keyId ?? ''].some((field) => holdsSecret(field, secrets)))
    return invalid('client, tenant or key_id holds a secret');
  const expiresAt = typeof expiry === 'string' || typeof expiry === 'number' ? epochMs(expiry) : undefined;
  if (Number.isNaN(expiresAt)) return invalid('expires_at is neither an RFC 3339 time nor epoch seconds');
  if (expiresAt !== undefined && expiresAt <= askedAt) return rejected('expired');

  // Whatever has no place of its own in the result is a claim.
  const { valid: _valid, client: _client, tenant: _tenant, key_id: _id, expires_at: _expiry, ...claims } = fields.data;
  return { kind: 'verified', client, tenant, keyId: keyId ?? undefined, expiresAt, claims: purify(claims, secrets) };
}
