/** `keyverify/mcp`: verifies bearer tokens for a server of the Model Context Protocol, for `requireBearerAuth` of its SDK. */
import {
  InsufficientScopeError,
  InvalidRequestError,
  InvalidTokenError,
  type OAuthError,
  ServerError,
  TooManyRequestsError,
} from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type { OAuthTokenVerifier } from '@modelcontextprotocol/sdk/server/auth/provider.js';

import { InvalidOptionsError } from '../core/errors.js';
import { sentence } from '../core/messages.js';
import type { Verified } from '../core/result.js';
import { isFunction, isObject } from '../core/schema.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
import type { GuardOptions } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** The guard options that have an effect with the SDK. It never fails open, since a client needs an id. */
export type McpOptions<Claims> = Pick<GuardOptions<Claims, false, false>, 'maxAgeMs' | 'authorize' | 'onDenied'> & {
  /** The scopes of a key, which the SDK compares with `requiredScopes`. Default: none. */
  readonly scopes?: ((identity: Verified<Claims>) => readonly string[]) | undefined;
};

/** The SDK refuses a token that does not expire. A key is verified for each request, so this is long enough. */
const UNLIMITED_SECONDS = 300;

/** The SDK answers 401, 403, 400, 400 and 500 to these; it has neither 429 nor 503. */
function toError({ status, reason }: Denial): OAuthError {
  if (status === 401) return new InvalidTokenError(reason);
  if (status === 403) return new InsufficientScopeError(reason);
  if (status === 429) return new TooManyRequestsError(reason);
  return status < 500 ? new InvalidRequestError(reason) : new ServerError(reason);
}

/** The guard options that have no effect here, so that setting one would be a mistake. */
const DECIDED = ['keySources', 'optional', 'failOpen', 'realm'];

function checkMcpOptions(options: unknown): void {
  if (!isObject(options)) throw new InvalidOptionsError([sentence('options', 'an object', options)]);
  const issues = DECIDED.filter((name) => Reflect.get(options, name) !== undefined).map(
    (name) => `${name}: expected nothing, the SDK decides this`,
  );
  const scopes: unknown = Reflect.get(options, 'scopes');
  if (scopes !== undefined && !isFunction(scopes)) issues.push(sentence('scopes', 'a function', scopes));
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}

/**
 * A verifier of access tokens. The identity is in `extra.identity` of the `AuthInfo` that tools get; its `clientId` is
 * `client`. The SDK puts the key itself into `token`: don't log that. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * app.post('/mcp', requireBearerAuth({ verifier: apiKeyAuth(verifier) }), handler);
 * ```
 */
export function apiKeyAuth<V extends AnyVerifier>(
  verifier: VerifierSource<V>,
  options: McpOptions<ClaimsOf<V>> = {},
): OAuthTokenVerifier {
  checkMcpOptions(options);
  const { scopes, ...guardOptions } = options;
  const guard = createGuard<V, false>(verifier, {
    ...guardOptions,
    keySources: ['bearer'],
    failOpen: false,
    optional: false,
  });
  return {
    async verifyAccessToken(token) {
      const header = (name: string): string[] => (name === 'authorization' ? [`Bearer ${token}`] : []);
      const decision = await guard({ header, url: '' });
      if (!decision.allowed) throw toError(decision.denial);
      const { identity } = decision;
      const expiresAt = Math.floor((identity.expiresAt ?? Date.now() + UNLIMITED_SECONDS * 1000) / 1000);
      return {
        token,
        clientId: identity.client,
        scopes: [...(scopes?.(identity) ?? [])],
        expiresAt,
        extra: { identity },
      };
    },
  };
}
