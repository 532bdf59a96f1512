import type { TokenSource } from '../core/token.js';
import type { DecodeContext, ProtocolAnswer } from '../protocol/protocol.js';

/**
 * Where a value is in the JSON of a response: its path, with dots (`data.owner.id`; `.` is the whole), or a function that
 * returns it. A function that throws makes the response an `invalid_response`.
 */
export type FieldSource = string | ((json: unknown, context: DecodeContext) => unknown);

/** How the service token is sent. */
export type AuthDefinition =
  /** No token is sent. */
  | 'none'
  /** The service token is `<name>:<password>`, sent as `Authorization: Basic` (RFC 7617). */
  | 'basic'
  /** In this header, after this prefix, such as `Bearer ` with its space. Default: no prefix. */
  | { readonly header: string; readonly prefix?: string | undefined }
  /** In this field of the body, beside the key. */
  | { readonly field: string };

/** How the key is sent. */
export interface KeyDefinition {
  /** `query` puts keys into access logs: it needs `dangerouslyAllowKeyInQuery: true`. */
  readonly in: 'json' | 'form' | 'header' | 'query';
  /** The name of the field, header or parameter; in JSON, a path with dots. */
  readonly name: string;
  /** Sent before the key, such as `Bearer ` with its space. Default: none. */
  readonly prefix?: string | undefined;
  /** `sha256-hex`: sends the SHA-256 of the key, as 64 lower-case hexadecimal digits. Default: `plain`. */
  readonly as?: 'plain' | 'sha256-hex' | undefined;
}

/** How `scope` is enforced: sent in this field of the body (of the query without a body), or compared with the tenant. */
export type ScopeDefinition = { readonly name: string } | 'enforce-locally';

/** A request before it is signed. */
export interface RequestDraft {
  /** The absolute URL, with its query. `sign` may not change the origin. */
  readonly url: string;
  /** `POST` or `GET`. `sign` may not change it. */
  readonly method: string;
  /** The headers by name, credentials included. */
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined` for a request without a body. */
  readonly body: string | undefined;
}

/** A response with this status, which is not one of `accepts`, rejects the key. */
export interface RejectRule {
  /** 400 to 499, except 408, 421 and 425. */
  readonly status: number;
  /** Whether this JSON rejects the key. Without it the status alone rejects, which needs `ambiguous: true`. Default: none. */
  readonly when?: ((json: unknown) => boolean) | undefined;
  /**
   * Such a response may also mean that our own token or URL is wrong. When several valid keys turn invalid within five minutes
   * because of such responses, that counts as `misconfigured`.
   */
  readonly ambiguous?: true | undefined;
  /** Why the key is rejected. Default: what `verdict.reason` names, else `rate_limited` for a 429, else `rejected`. */
  readonly reason?: string | undefined;
}

/** When a key expires. */
export interface ExpiryDefinition {
  /** Where the time is. If it is `null` or missing, the key does not expire. */
  readonly at: FieldSource;
  /** RFC 3339 (`iso`), or seconds or milliseconds since the epoch. A response with another form is not a verdict. */
  readonly unit: 'iso' | 's' | 'ms' | 'iso-or-s';
}

interface VerdictFields {
  /** Who uses the key, as text. */
  readonly client: FieldSource;
  /** The customer that the client belongs to, as text. It may be the same field as the client. */
  readonly tenant: FieldSource;
  /** The public id of the key: text, `null` or nothing. Default: keys have none. */
  readonly keyId?: FieldSource | undefined;
  /** When the key expires. Default: keys don't expire. */
  readonly expires?: ExpiryDefinition | undefined;
  /** Why a key is rejected; anything but text counts as `rejected`. Default: `rejected`. */
  readonly reason?: FieldSource | undefined;
  /** Translates the key server's reasons, `{ NOT_FOUND: 'unknown_key' }`. Others stay as they are. Default: none. */
  readonly reasons?: Readonly<Record<string, string>> | undefined;
  /** Reasons by which the key server reports its own trouble: a `server_error`, even if the flag is `true`. Default: none. */
  readonly faults?: readonly string[] | undefined;
  /** An object, `null` or nothing. Default: all fields of the response that are not used for something else. */
  readonly claims?: FieldSource | undefined;
}

interface ByFlag {
  /** Exactly `true` for a valid key, exactly `false` for an invalid one; anything else is not a verdict. */
  readonly flag: FieldSource;
  readonly identity?: undefined;
}

interface ByIdentity {
  readonly flag?: undefined;
  /** An object for a valid key, `null` for an invalid one; anything else, or nothing, is not a verdict. */
  readonly identity: FieldSource;
}

/** Where the verdict is in the JSON. Exactly one of `flag` and `identity` says whether the key is valid. */
export type VerdictDefinition = VerdictFields & (ByFlag | ByIdentity);

/** Describes the contract of a key server, for `defineProtocol()`. */
export interface ProtocolDefinition {
  /** The protocol's name, in the message about a response that is no verdict. The key server of `keyverify/testing` recognizes presets by it. Default: none. */
  readonly name?: string | undefined;
  /** The URL of the key server, unless the verifier has a `verifyUrl`. Default: none. */
  readonly url?: string | undefined;
  /** The method of requests. Default: `POST`. */
  readonly method?: 'POST' | 'GET' | undefined;
  /** How the service token is sent. Default: in the header `x-service-token`. */
  readonly auth?: AuthDefinition | undefined;
  /** The service token, or a function that fetches it. Default: the verifier's option `serviceToken`. */
  readonly serviceToken?: TokenSource | undefined;
  /** How the key is sent. Default: in the field `key` of a JSON body. */
  readonly key?: KeyDefinition | undefined;
  /** Allows keys in the query, where proxies and servers log them. Default: `false`. */
  readonly dangerouslyAllowKeyInQuery?: boolean | undefined;
  /** How `scope` is enforced. Default: not at all, so a verifier with a `scope` throws. */
  readonly scope?: ScopeDefinition | undefined;
  /** Headers sent with each request; no credentials. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Fields sent with each request, beside the key; as text in a form. Default: none. */
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** Signs a finished request. It can't change the origin or the method. If it throws, the call fails as `misconfigured`. */
  readonly sign?: ((draft: RequestDraft) => RequestDraft | Promise<RequestDraft>) | undefined;
  /** Which keys are sent at all; others are rejected as `malformed_key`. Default: every key that can be sent. */
  readonly admits?: ((key: string) => boolean) | undefined;
  /**
   * Ignores the `Cache-Control` of verdicts, for a server that sends `no-store` with everything. Default: `false`, so it may
   * shorten the TTL.
   */
  readonly ignoreCacheControl?: boolean | undefined;
  /** Statuses of a verdict, 200 to 299. Default: `[200]`. */
  readonly accepts?: readonly number[] | undefined;
  /** Other statuses that reject a key; the first rule that fits counts. Default: none. */
  readonly rejects?: readonly RejectRule[] | undefined;
  /** What the fields of a response mean, or a function of the JSON that returns the verdict. */
  readonly verdict: VerdictDefinition | ((json: unknown, context: DecodeContext) => ProtocolAnswer);
}
