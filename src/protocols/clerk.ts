import { InvalidOptionsError } from '../core/errors.js';
import { isText, optional } from '../core/schema.js';
import { defineProtocol, type DefinedProtocol } from './define.js';
import type { FieldSource } from './definition.js';
import { ownField, valueAt } from './pick.js';
import { presetChecker } from './preset.js';

/** The options of `clerk()`. */
export interface ClerkOptions {
  /** Where the tenant is, such as `claims.org`. Default: `subject`, the user or organization that the key belongs to. */
  readonly tenant?: FieldSource | undefined;
}

const issuesOf = presetChecker(({ pick }) => ({ tenant: optional(pick) }));

/**
 * Keys kept at Clerk; the option `serviceToken` is the secret key of the instance. The client is the key's subject. The
 * verifier's `scope` is compared with the tenant. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({ serviceToken: process.env.CLERK_SECRET_KEY, protocol: clerk() });
 * ```
 */
export function clerk(options: ClerkOptions = {}): DefinedProtocol {
  const issues = issuesOf(options);
  if (issues.length > 0) throw new InvalidOptionsError(issues);
  const { tenant = 'subject' } = options;
  return defineProtocol({
    name: 'clerk',
    url: 'https://api.clerk.com/v1/api_keys/verify',
    auth: { header: 'authorization', prefix: 'Bearer ' },
    key: { in: 'json', name: 'secret' },
    scope: 'enforce-locally',
    // Clerk's own errors have a code. A route that is not there may have one, too, so it is ambiguous all the same.
    rejects: [{ status: 404, when: isClerkError, ambiguous: true, reason: 'unknown_key' }],
    verdict: {
      flag: readFlag,
      client: 'subject',
      tenant,
      keyId: 'id',
      expires: { at: 'expiration', unit: 'ms' },
      reason: (json) => (ownField(json, 'revoked') === true ? 'revoked' : 'expired'),
    },
  });
}

const isClerkError = (json: unknown): boolean => isText(valueAt(json, ['errors', '0', 'code']));

/** Two flags, both of which have to be `false` for a valid key. */
function readFlag(json: unknown): boolean | undefined {
  const flags = [ownField(json, 'revoked'), ownField(json, 'expired')];
  if (flags.every((flag) => flag === false)) return true;
  return flags.every((flag) => typeof flag === 'boolean') ? false : undefined;
}
