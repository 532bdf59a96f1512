import type { TokenSource } from '../core/token.js';
import type { AttemptFailure } from '../core/failure.js';
import type { DefaultClaims, Rejected } from '../core/result.js';
import type { Freshness } from '../core/verdict.js';
import type { WireRequest, WireResponse } from '../transport/transport.js';

/** What `encode()` turns into a request. */
export interface Question {
  /** The URL of the key server: `verifyUrl`, or the `url` of the protocol. */
  readonly url: string;
  /** The caller's key. */
  readonly key: string;
  /** The option `scope`; `undefined` if it is not set. */
  readonly scope: string | undefined;
  /** The service token; empty for a protocol that needs none. */
  readonly token: string;
}

/** What `decode()` needs besides the response. */
export interface DecodeContext {
  /** Never to be seen in a claim, a reason or a message. The core takes them out of all that a protocol returns. */
  readonly secrets: readonly string[];
  /** When the request was sent, in epoch milliseconds. */
  readonly askedAt: number;
  /** The option `scope`; `undefined` if it is not set. The core compares it with the tenant if the protocol asks for that. */
  readonly scope: string | undefined;
}

/** What a protocol reads from a response. The core checks it before it becomes a verdict. */
export type ProtocolAnswer =
  | {
      readonly kind: 'verified';
      readonly client: string;
      readonly tenant: string;
      readonly keyId?: string | undefined;
      /** When the key expires, in epoch milliseconds. */
      readonly expiresAt?: number | undefined;
      /** Default: none. */
      readonly claims?: DefaultClaims | undefined;
    }
  | {
      readonly kind: 'rejected';
      /** `rate_limited` refuses this call and is not cached. Default: `rejected`. */
      readonly reason?: string | undefined;
      /**
       * The response might as well mean that our own token or URL is wrong. When several valid keys turn invalid at once by
       * such responses, that counts as `misconfigured`, and not as verdicts.
       */
      readonly ambiguous?: boolean | undefined;
    }
  | { readonly failure: ProtocolFailure };

/** The kinds of failure that a response can be. */
export type ResponseFailureKind = 'server_error' | 'rate_limited' | 'misconfigured' | 'invalid_response';

/** Why a response is no verdict. With `tokenRefused`, the core fetches a new service token and asks again, once. */
export interface ProtocolFailure extends Pick<AttemptFailure, 'message' | 'status' | 'retryAfterMs' | 'tokenRefused'> {
  readonly kind: ResponseFailureKind;
}

/**
 * How a question and its answer look on the wire. Of an object of your own, no more is checked than that it has `encode()`
 * and `decode()`: a field of another name or with another value has no effect. Run `protocolCases()` of `keyverify/testing`.
 */
export interface WireProtocol {
  /** Where the key server answers. Default: there is no such place, and `verifyUrl` has to name it. */
  readonly url?: string | undefined;
  /** Its own service token; `false` if it needs none. Default: the option `serviceToken`. */
  readonly serviceToken?: TokenSource | false | undefined;
  /**
   * `sent`: the key server rejects the keys of other customers. `compared`: the core rejects keys whose tenant is another.
   * Default: neither, so the option `scope` is refused.
   */
  readonly scope?: 'sent' | 'compared' | undefined;
  /** Whether to ignore `Cache-Control` when caching verdicts. Default: `false`, it may shorten the TTL. */
  readonly ignoreCacheControl?: boolean | undefined;
  /** Whether a key can be sent at all; one that can't is rejected as `malformed_key`. Default: every key can. */
  admits?(key: string): boolean;
  /** Turns a question into a request. What it throws or rejects with counts as `misconfigured`. */
  encode(question: Question): WireRequest | Promise<WireRequest>;
  /**
   * Never called for a redirect, a 5xx, 408, 421 or 425: those are failures in every protocol. What it throws counts as
   * `invalid_response`.
   */
  decode(response: WireResponse, context: DecodeContext): ProtocolAnswer;
}

/** What a response says once the core has checked it, before a schema of the caller's has seen the claims. */
export type DecodedVerdict =
  | {
      readonly kind: 'rejected';
      readonly result: Rejected;
      readonly freshness: Freshness;
      readonly ambiguous: boolean;
    }
  | {
      readonly kind: 'verified';
      readonly client: string;
      readonly tenant: string;
      readonly keyId: string | undefined;
      /** Epoch milliseconds. */
      readonly expiresAt: number | undefined;
      readonly claims: DefaultClaims;
      readonly freshness: Freshness;
    };
