import * as z from 'zod/mini';

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

const name = z.string().check(z.minLength(1));

const Wire = z.discriminatedUnion('valid', [
  z.object({
    valid: z.literal(true),
    client: name,
    tenant: name,
    key_id: z.nullish(name),
    expires_at: z.nullish(z.union([z.string(), z.number()])),
  }),
  // A refusal stands, whatever became of its reason: only a valid verdict has to be whole.
  z.object({ valid: z.literal(false), reason: z.catch(name, 'rejected') }),
]);
const Fields = z.record(z.string(), z.unknown());

/** These have a place of their own in the result; whatever else came along is a claim. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['valid', 'client', 'tenant', 'key_id', 'expires_at']);

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

const invalid = (problem: string): RawVerdict => ({ kind: 'invalid', problem });

/** Reads the JSON of a response, or says in a few words why it is no verdict. `askedAt` is in epoch milliseconds. */
export function readVerdict(json: unknown, secrets: readonly string[], askedAt: number): RawVerdict {
  const wire = Wire.safeParse(json);
  if (!wire.success) {
    const fields = wire.error.issues.map((issue) => issue.path.join('.')).filter((path) => path !== '');
    return invalid(fields.length === 0 ? 'not a JSON object' : `missing or wrong: ${fields.join(', ')}`);
  }
  if (!wire.data.valid) return rejected(holdsSecret(wire.data.reason, secrets) ? 'rejected' : wire.data.reason);

  const { client, tenant, key_id: keyId, expires_at: expiry } = wire.data;
  if ([client, tenant, keyId ?? ''].some((field) => holdsSecret(field, secrets)))
    return invalid('client, tenant or key_id holds a secret');
  const expiresAt = typeof expiry === 'string' || typeof expiry === 'number' ? epochMs(expiry) : undefined;
  if (Number.isNaN(expiresAt)) return invalid('expires_at is neither an RFC 3339 time nor epoch seconds');
  if (expiresAt !== undefined && expiresAt <= askedAt) return rejected('expired');

  const rest = Object.entries(Fields.parse(json)).filter(([field]) => !OWN_FIELDS.has(field));
  const claims = purify(Object.fromEntries(rest), secrets);
  return { kind: 'verified', client, tenant, keyId: keyId ?? undefined, expiresAt, claims };
}
