import type { StandardSchemaV1 } from '@standard-schema/spec';

import type { DefaultClaims } from '../core/result.js';
import { sanitize } from '../core/redact.js';
import { fieldOf, isObject } from '../core/schema.js';

/** Claims as the caller's schema wants them, or which of them are wrong. */
export type ClaimsRead<Claims> = { readonly claims: Claims } | { readonly wrong: string };

/** Types and checks the claims of a verdict. */
export type ClaimsReader<Claims> = (raw: DefaultClaims) => ClaimsRead<Claims> | Promise<ClaimsRead<Claims>>;

/** Without a schema, claims are what the key server sent. */
export const claimsAsSent: ClaimsReader<DefaultClaims> = (claims) => ({ claims });

export function claimsReader<Claims>(schema: StandardSchemaV1<unknown, Claims> | undefined): ClaimsReader<Claims> {
  if (schema !== undefined) return schemaReader(schema);
  // Without a schema nothing can have inferred Claims, so it is its default.
  // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
  return claimsAsSent as ClaimsReader<never>;
}

export function schemaReader<Claims>(schema: StandardSchemaV1<unknown, Claims>): ClaimsReader<Claims> {
  const toRead = (checked: StandardSchemaV1.Result<Claims>, raw: DefaultClaims): ClaimsRead<Claims> => {
    // A schema's messages may quote what they complain of, so only its place and its type are named.
    if (checked.issues !== undefined) return { wrong: checked.issues.map((issue) => place(issue, raw)).join(', ') };
    return { claims: freeze(checked.value) };
  };
  return (raw) => {
    const checked = schema['~standard'].validate(raw);
    // By its `then`: a promise of another realm or library is one, too, and must not pass for a result without issues.
    return 'then' in checked ? Promise.resolve(checked).then((late) => toRead(late, raw)) : toRead(checked, raw);
  };
}

function place({ path = [] }: StandardSchemaV1.Issue, raw: DefaultClaims): string {
  const keys = path.map((step) => (typeof step === 'object' ? step.key : step));
  if (keys.length === 0) return 'the claims as a whole';
  return `${keys.map(String).join('.')} (${typeof keys.reduce<unknown>(fieldOf, raw)})`;
}

/** Results are shared between callers, so what a schema made anew is frozen again. */
function freeze<Claims>(claims: Claims): Claims {
  if (isObject(claims)) sanitize(claims, []);
  return claims;
}
