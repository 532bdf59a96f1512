import { InvalidOptionsError } from '../core/errors.js';
import { check, optional, strict } from '../core/schema.js';
import { defineProtocol, type DefinedProtocol } from './define.js';
import type { FieldSource } from './definition.js';
import { ownField, valueAt } from './pick.js';
import { presetChecker } from './preset.js';

/** The options of `unkey()`. */
export interface UnkeyOptions {
  /** Where the tenant is, such as `data.meta.tenant`. */
  readonly tenant: FieldSource;
  /** Where the client is. Default: `data.identity.externalId`. */
  readonly client?: FieldSource | undefined;
  /** A permission query that keys must satisfy, such as `docs.read AND docs.list`. Default: none. */
  readonly permissions?: string | undefined;
  /** Tags for Unkey's analytics. Default: none. */
  readonly tags?: readonly string[] | undefined;
  /** How many of the key's credits a question costs. Default: Unkey's, which is 1. */
  readonly credits?: { readonly cost: number } | undefined;
  /** Rate limits to check, in the form of Unkey's API. Default: those of the key. */
  readonly ratelimits?: readonly Readonly<Record<string, unknown>>[] | undefined;
}

const isCost = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const issuesOf = presetChecker(({ pick, text, texts, objects }) => ({
  tenant: pick,
  client: optional(pick),
  permissions: optional(text),
  tags: optional(texts),
  credits: optional(strict({ cost: check(isCost, 'a whole number, 0 or more') }, 'an object of cost')),
  ratelimits: optional(objects),
}));

/** Our names for Unkey's codes; `VALID` is no reason. */
const REASONS = {
  NOT_FOUND: 'unknown_key',
  FORBIDDEN: 'forbidden',
  INSUFFICIENT_PERMISSIONS: 'insufficient_permissions',
  USAGE_EXCEEDED: 'usage_exceeded',
  RATE_LIMITED: 'rate_limited',
  DISABLED: 'disabled',
  EXPIRED: 'expired',
};

/** The longest key that Unkey takes. */
const MAX_KEY_LENGTH = 512;

/**
 * Keys kept at Unkey, through its API v2; the option `serviceToken` is a root key. The verifier's `scope` is compared with
 * the tenant.
 *
 * A question spends the key's credits and counts for its rate limits, and an answer from the cache doesn't: Unkey counts
 * fewer uses than there are. If every use must be counted, count it in your service, or set a short `cacheTtlMs`.
 * Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({
 *   serviceToken: process.env.UNKEY_ROOT_KEY,
 *   protocol: unkey({ tenant: 'data.meta.tenant' }),
 * });
 * ```
 */
export function unkey(options: UnkeyOptions): DefinedProtocol {
  const issues = issuesOf(options);
  if (issues.length > 0) throw new InvalidOptionsError(issues);
  const { tenant, client = 'data.identity.externalId', permissions, tags, credits, ratelimits } = options;
  return defineProtocol({
    name: 'unkey',
    url: 'https://api.unkey.com/v2/keys.verifyKey',
    auth: { header: 'authorization', prefix: 'Bearer ' },
    scope: 'enforce-locally',
    // What is undefined is left out of the JSON.
    body: { permissions, tags, credits, ratelimits },
    admits: (key) => key.length <= MAX_KEY_LENGTH,
    verdict: {
      flag: readFlag,
      client,
      tenant,
      keyId: 'data.keyId',
      expires: { at: 'data.expires', unit: 'ms' },
      reason: 'data.code',
      reasons: REASONS,
      claims: 'data',
    },
  });
}

/** The code has to say the same as the flag. */
function readFlag(json: unknown): boolean | undefined {
  const data = ownField(json, 'data');
  const [valid, code] = [ownField(data, 'valid'), valueAt(data, ['code'])];
  if (valid === true && code === 'VALID') return true;
  return valid === false && code !== 'VALID' ? false : undefined;
}
