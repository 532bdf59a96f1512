import type { TokenSource } from '../core/token.js';
import type { DecodeContext, ProtocolAnswer } from '../protocol/protocol.js';

/**
 * Where a value is in the JSON of a response: the names on the way to it, with dots between (`data.owner.id`), `.` for the
 * whole; or a function that picks it out. One that throws makes the response an `invalid_response`.
 */
export type Pick = string | ((json: unknown, context: DecodeContext) => unknown);

/** How the service token is sent. */
export type AuthDefinition =
  /** Not at all: there is none. */
  | 'none'
  /** The service token is `<name>:<password>`, sent as `Authorization: Basic` (RFC 7617). */
  | 'basic'
  /** In this header, behind this prefix, such as `Bearer ` with its blank. Default: no prefix. */
  | { readonly header: string; readonly prefix?: string | undefined }
  /** In this field of the body, beside the key. */
  | { readonly field: string };

/** How the key is sent. */
export interface KeyDefinition {
  /** `query` puts keys into access logs: it needs `dangerouslyAllowKeyInQuery: true`. */
  readonly in: 'json' | 'form' | 'header' | 'query';
  /** The field, header or parameter; in JSON, names with dots between them lead into objects. */
  readonly name: string;
  /** Goes before the key, such as `Bearer ` with its blank. Default: none. */
  readonly prefix?: string | undefined;
  /** `sha256-hex`: its SHA-256 in lower-case digits is sent instead of the key. Default: `plain`. */
  readonly as?: 'plain' | 'sha256-hex' | undefined;
}

/** How scope is enforced: sent in this field (of the body, or of the query where there is none), or compared here. */
export type ScopeDefinition = { readonly name: string } | 'enforce-locally';

/** A request before it is signed. */
export interface RequestDraft {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A response with this status, which is not one of `accepts`, rejects the key. */
export interface RejectRule {
  /** 400 to 499, but for 408, 421 and 425. */
  readonly status: number;
  /** Whether this JSON rejects the key. Without it, the status alone does, which needs `ambiguous: true`. */
  readonly when?: ((json: unknown) => boolean) | undefined;
  /**
   * Such a response might as well mean that our own token or URL is wrong. When several good keys turn bad at once by such
   * responses, that counts as `misconfigured`.
   */
  readonly ambiguous?: true | undefined;
  /** Default: what `verdict.reason` picks, else `rate_limited` for a 429, else `rejected`. */
  readonly reason?: string | undefined;
}

/** When a key ends. */
export interface ExpiryDefinition {
  /** `null` or nothing there: the key does not end. */
  readonly at: Pick;
  /** RFC 3339, or seconds or milliseconds since the epoch. A time that does not fit the unit is no verdict. */
  readonly unit: 'iso' | 's' | 'ms' | 'iso-or-s';
}

/** Where in the JSON the verdict is. Exactly one of `flag` and `identity` says whether the key is good. */
export interface VerdictDefinition {
  /** Exactly `true` for a good key, exactly `false` for a bad one; anything else is no verdict. */
  readonly flag?: Pick | undefined;
  /** An object for a good key, `null` for a bad one; anything else, or nothing, is no verdict. */
  readonly identity?: Pick | undefined;
  /** Text. */
  readonly client: Pick;
  /** Text. It may be the same as the client. */
  readonly tenant: Pick;
  /** Text, `null` or nothing. Default: keys have no public id. */
  readonly keyId?: Pick | undefined;
  /** Default: keys don't end. */
  readonly expires?: ExpiryDefinition | undefined;
  /** Why a key is bad, where it is text. Default: `rejected`. */
  readonly reason?: Pick | undefined;
  /** What the key server's reasons are called here, by its name for them. Others stay as they are. */
  readonly reasons?: Readonly<Record<string, string>> | undefined;
  /** Reasons that are the key server's own faults: a `server_error`, even if the flag is set. */
  readonly faults?: readonly string[] | undefined;
  /** An object, `null` or nothing. Default: `.`, the fields of the response that have no other place in the result. */
  readonly claims?: Pick | undefined;
}

/** How to speak to a key server that has a contract of its own. */
export interface ProtocolDefinition {
  /** What it is called. The key server of `keyverify/testing` knows how those with a name of a preset respond. */
  readonly name?: string | undefined;
  /** Where it answers, unless `verifyUrl` says so. Default: nowhere. */
  readonly url?: string | undefined;
  /** Default: `POST`. */
  readonly method?: 'POST' | 'GET' | undefined;
  /** Default: in the header `x-service-token`. */
  readonly auth?: AuthDefinition | undefined;
  /** The service token, if it isn't the option `serviceToken` of the verifier. */
  readonly serviceToken?: TokenSource | undefined;
  /** Default: the field `key` of a JSON body. */
  readonly key?: KeyDefinition | undefined;
  /** Allows keys in the query, where proxies and servers log them. Default: `false`. */
  readonly dangerouslyAllowKeyInQuery?: boolean | undefined;
  /** Default: none, so a verifier with a `scope` is refused. */
  readonly scope?: ScopeDefinition | undefined;
  /** Sent with each request; no credentials. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent with each request, beside the key; as text in a form. Default: nothing. */
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** Signs a request. It must neither go to another origin nor by another method. What it throws is `misconfigured`. */
  readonly sign?: ((draft: RequestDraft) => RequestDraft | Promise<RequestDraft>) | undefined;
  /** Which keys are sent at all; others are rejected as `malformed_key`. Default: all that can be sent. */
  readonly admits?: ((key: string) => boolean) | undefined;
  /**
   * Ignores `Cache-Control` when caching verdicts: for a server that sends `no-store` with everything. Default: `false`, it
   * may shorten the TTL.
   */
  readonly ignoreCacheControl?: boolean | undefined;
  /** Statuses of a verdict, 200 to 299. Default: 200. */
  readonly accepts?: readonly number[] | undefined;
  /** Other statuses that reject a key; the first that fits counts. Default: none. */
  readonly rejects?: readonly RejectRule[] | undefined;
  readonly verdict: VerdictDefinition | ((json: unknown, context: DecodeContext) => ProtocolAnswer);
}
