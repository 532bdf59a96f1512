import { InvalidOptionsError } from '../core/errors.js';
import { defineProtocol, type DefinedProtocol } from './define.js';
import { ownField, valueAt } from './pick.js';
import { presetChecker } from './preset.js';

const issuesOf = presetChecker(() => ({}));

/**
 * Keys kept at WorkOS; the option `serviceToken` is the secret key of the environment. The client is the id of the key's
 * owner. The tenant is the organization: the owner itself, or the one that the owner belongs to. The verifier's `scope` is
 * compared with the tenant. It takes no options, and throws `InvalidOptionsError` for any.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({ serviceToken: process.env.WORKOS_API_KEY, protocol: workos() });
 * ```
 */
export function workos(): DefinedProtocol;
export function workos(options: unknown = {}): DefinedProtocol {
  const issues = issuesOf(options);
  if (issues.length > 0) throw new InvalidOptionsError(issues);
  return defineProtocol({
    name: 'workos',
    url: 'https://api.workos.com/api_keys/validations',
    auth: { header: 'authorization', prefix: 'Bearer ' },
    key: { in: 'json', name: 'value' },
    scope: 'enforce-locally',
    verdict: {
      identity: 'api_key',
      client: 'api_key.owner.id',
      tenant: organizationOf,
      keyId: 'api_key.id',
      expires: { at: 'api_key.expires_at', unit: 'iso' },
      claims: 'api_key',
    },
  });
}

function organizationOf(json: unknown): unknown {
  const owner = valueAt(json, ['api_key', 'owner']);
  const type = ownField(owner, 'type');
  if (type === 'organization') return ownField(owner, 'id');
  return type === 'user' ? ownField(owner, 'organization_id') : undefined;
}
