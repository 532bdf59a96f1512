import { InvalidOptionsError } from '../core/errors.js';
import { formEncode } from '../core/form.js';
import { check, isObject, isText, optional } from '../core/schema.js';
import type { TokenSource } from '../core/token.js';
import type { DecodeContext } from '../protocol/protocol.js';
import { DefinedProtocol } from './define.js';
import type { AuthDefinition, FieldSource, ProtocolDefinition } from './definition.js';
import { ownField } from './pick.js';
import { presetChecker } from './preset.js';

interface CommonOptions {
  /** Where the tenant is, such as `org_id`; RFC 7662 has no member for it. */
  readonly tenant: FieldSource;
  /** What `aud` must be or contain; another token is rejected. Default: `aud` isn't checked. */
  readonly audience?: string | undefined;
  /**
   * Caches verdicts although the server sends `Cache-Control: no-store`, as many do with every response; RFC 7662 section 4
   * allows it. Otherwise such a server is asked for every call. Default: `false`.
   */
  readonly ignoreCacheControl?: boolean | undefined;
  /**
   * What `token_type` may be, in any case; it may also be missing. A refresh token or an ID token is never accepted.
   * Default: `['Bearer', 'access_token']`.
   */
  readonly tokenTypes?: readonly string[] | undefined;
  /**
   * Accepts tokens with a `cnf`, which need a proof (mutual TLS, RFC 8705; DPoP, RFC 9449): set it if something in front of
   * this service has checked that. Default: `false`, so they are rejected.
   */
  readonly allowSenderConstrained?: boolean | undefined;
  /** Sent as `token_type_hint`. Default: none. */
  readonly tokenTypeHint?: string | undefined;
}

interface WithSecret {
  /** Our id at the authorization server. */
  readonly clientId: string | undefined;
  /** Our secret, or a function that fetches it, and is called again after a 401. */
  readonly clientSecret: TokenSource | undefined;
  /** `basic`: `client_secret_basic`. `post`: `client_secret_post`. Default: `basic`. */
  readonly auth?: 'basic' | 'post' | undefined;
}

interface WithoutSecret {
  /** Our id at the authorization server. Default: none is sent. */
  readonly clientId?: string | undefined;
  readonly clientSecret?: undefined;
  /**
   * `bearer`: sends the verifier's `serviceToken` as a bearer token. `none`: no secret, such as with mutual TLS through a
   * `dispatcher`.
   */
  readonly auth: 'bearer' | 'none';
}

/** The options of `introspection()`. Unless `auth` is `bearer` or `none`, `clientId` and `clientSecret` are required. */
export type IntrospectionOptions = CommonOptions & (WithoutSecret | WithSecret);

type Auth = NonNullable<IntrospectionOptions['auth']>;

const AUTH: Readonly<Record<Auth, AuthDefinition>> = {
  basic: 'basic',
  post: { field: 'client_secret' },
  bearer: { header: 'authorization', prefix: 'Bearer ' },
  none: 'none',
};

const isAuth = (value: unknown): value is Auth => typeof value === 'string' && Object.hasOwn(AUTH, value);

const issuesOf = presetChecker(({ pick, text, flag, token, texts }) => ({
  tenant: pick,
  clientId: optional(text),
  clientSecret: optional(token),
  auth: optional(check(isAuth, "'basic', 'post', 'bearer' or 'none'")),
  audience: optional(text),
  ignoreCacheControl: optional(flag),
  tokenTypes: optional(texts),
  allowSenderConstrained: optional(flag),
  tokenTypeHint: optional(text),
}));

/** Mistakes in the combination of options. */
function credentialIssues({ clientId, clientSecret, auth = 'basic' }: IntrospectionOptions): string[] {
  // A wrong one has been reported.
  if (!isAuth(auth)) return [];
  const usesSecret = auth === 'basic' || auth === 'post';
  if (!usesSecret) return clientSecret === undefined ? [] : [`clientSecret: expected none for auth: '${auth}'`];
  return [
    ...(clientId === undefined
      ? [`clientId: expected a string that is not empty for auth: '${auth}', got undefined`]
      : []),
    ...(clientSecret === undefined ? [`clientSecret: expected a secret for auth: '${auth}', got undefined`] : []),
  ];
}

/**
 * Token introspection (RFC 7662): keys are tokens of an OAuth 2.0 authorization server. The client is `client_id`, else
 * `sub`; the key id is `jti`. The other members are claims. The verifier's `scope` is compared with the tenant. Throws
 * `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({
 *   verifyUrl: 'https://auth.internal/token/introspection',
 *   protocol: introspection({ clientId: 'billing', clientSecret: process.env.CLIENT_SECRET, tenant: 'org_id' }),
 * });
 * ```
 */
export function introspection(options: IntrospectionOptions): DefinedProtocol {
  const issues = issuesOf(options);
  if (isObject(options)) issues.push(...credentialIssues(options));
  if (issues.length > 0) throw new InvalidOptionsError(issues);
  const { clientId, clientSecret, tenant, tokenTypeHint, ignoreCacheControl, auth = 'basic' } = options;
  const definition: ProtocolDefinition = {
    name: 'introspection',
    auth: AUTH[auth],
    serviceToken: auth === 'basic' ? basicCredentials(String(clientId), clientSecret) : clientSecret,
    key: { in: 'form', name: 'token' },
    scope: 'enforce-locally',
    ignoreCacheControl,
    body: {
      ...(tokenTypeHint !== undefined && { token_type_hint: tokenTypeHint }),
      ...(clientId !== undefined && auth !== 'basic' && { client_id: clientId }),
    },
    verdict: {
      flag: (json, context) => {
        const active = ownField(json, 'active');
        return active === true ? rejectionReason(json, context, options) === undefined : active;
      },
      client: (json) => ownField(json, 'client_id') ?? ownField(json, 'sub'),
      tenant,
      keyId: 'jti',
      expires: { at: 'exp', unit: 's' },
      reason: (json, context) =>
        ownField(json, 'active') === true ? rejectionReason(json, context, options) : undefined,
    },
  };
  return new DefinedProtocol(definition, clientSecret && 'clientId and clientSecret');
}

/** Both are encoded for a form first, RFC 6749 2.3.1. */
function basicCredentials(clientId: string, clientSecret: TokenSource = ''): TokenSource {
  const join = (secret: string): string => `${formEncode(clientId)}:${formEncode(secret)}`;
  return typeof clientSecret === 'string' ? join(clientSecret) : async () => join(await clientSecret());
}

const TOKEN_TYPES: readonly string[] = ['Bearer', 'access_token'];

/** Where servers say that it is no access token: by RFC 7662, or as Hydra and Keycloak do. */
const KINDS = ['token_type', 'token_use', 'typ'];

/** Keycloak calls a refresh token that outlives its session an offline one. */
const isOfOtherUse = (kind: unknown): boolean => isText(kind) && /^(?:refresh|offline$|id(?:_token)?$)/i.test(kind);
const isSame = (accepted: string, type: unknown): boolean =>
  isText(type) && accepted.toLowerCase() === type.toLowerCase();

/** Why an active token is not for us, or not yet valid. */
function rejectionReason(json: unknown, { askedAt }: DecodeContext, options: IntrospectionOptions): string | undefined {
  const { audience, tokenTypes = TOKEN_TYPES, allowSenderConstrained = false } = options;
  const notBefore = ownField(json, 'nbf') ?? 0;
  if (typeof notBefore !== 'number') throw new TypeError('nbf is not a number');
  if (notBefore * 1000 > askedAt) return 'not_yet_valid';
  if (!allowSenderConstrained && (ownField(json, 'cnf') ?? null) !== null) return 'sender_constrained';
  const type = ownField(json, 'token_type') ?? null;
  if (KINDS.some((name) => isOfOtherUse(ownField(json, name)))) return 'wrong_token_type';
  if (type !== null && !tokenTypes.some((accepted) => isSame(accepted, type))) return 'wrong_token_type';
  const found = ownField(json, 'aud');
  const audiences: readonly unknown[] = Array.isArray(found) ? found : [found];
  return audience === undefined || audiences.includes(audience) ? undefined : 'wrong_audience';
}
