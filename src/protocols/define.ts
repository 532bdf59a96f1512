import { isHeaderValue } from '../core/header.js';
import type { TokenSource } from '../core/token.js';
import { InvalidOptionsError } from '../core/errors.js';
import type { DecodeContext, ProtocolAnswer, Question, WireProtocol } from '../protocol/protocol.js';
import type { WireRequest, WireResponse } from '../transport/transport.js';
import type { ProtocolDefinition } from './definition.js';
import { encoderOf, type Encoder } from './request.js';
import { decoderOf } from './response.js';
import { definitionIssues } from './validate.js';

/** A protocol made from a definition. What it holds is private, since credentials may be part of it. */
export class DefinedProtocol implements WireProtocol {
  readonly #definition: ProtocolDefinition;
  readonly #encode: Encoder;
  readonly #decode: (response: WireResponse, context: DecodeContext) => ProtocolAnswer;

  /**
   * Throws `InvalidOptionsError`, which names every mistake at once. `credentials`: the options to check when the server
   * refuses them.
   */
  constructor(definition: ProtocolDefinition, credentials?: string) {
    const issues = definitionIssues(definition);
    if (issues.length > 0) throw new InvalidOptionsError(issues);
    const { needsBody, decode } = decoderOf(definition, credentials);
    this.#definition = definition;
    this.#encode = encoderOf(definition, needsBody);
    this.#decode = decode;
  }

  get definition(): ProtocolDefinition {
    return this.#definition;
  }

  get url(): string | undefined {
    return this.#definition.url;
  }

  get serviceToken(): TokenSource | false | undefined {
    return this.#definition.auth === 'none' ? false : this.#definition.serviceToken;
  }

  get scope(): 'sent' | 'compared' | undefined {
    const { scope } = this.#definition;
    if (scope === undefined) return undefined;
    return scope === 'enforce-locally' ? 'compared' : 'sent';
  }

  get ignoreCacheControl(): boolean | undefined {
    return this.#definition.ignoreCacheControl;
  }

  admits(key: string): boolean {
    const { key: place, admits } = this.#definition;
    // In a header, some characters can't be sent.
    if (place?.in === 'header' && place.as !== 'sha256-hex' && !isHeaderValue(key)) return false;
    return admits === undefined || admits(key);
  }

  encode(question: Question): WireRequest | Promise<WireRequest> {
    return this.#encode(question);
  }

  decode(response: WireResponse, context: DecodeContext): ProtocolAnswer {
    return this.#decode(response, context);
  }
}

/**
 * Speaks to a key server that has a contract of its own, see
 * https://github.com/keyverify/keyverify/blob/main/docs/key-server.md
 * Throws `InvalidOptionsError`, which names every mistake at once.
 *
 * In every definition, only a `true` flag (or an identity object) together with a client and a tenant verifies a key; a
 * redirect, a 5xx, an unlisted status, unreadable JSON or an error thrown by a function is never a verdict.
 *
 * @example
 * ```ts
 * const verifier = new KeyVerifier({
 *   verifyUrl: 'https://keys.example.com/api/keys/validate',
 *   protocol: defineProtocol({
 *     auth: { header: 'x-internal-secret' },
 *     key: { in: 'json', name: 'apiKey' },
 *     verdict: { flag: 'isValid', client: 'user.id', tenant: 'user.orgId', reason: 'error' },
 *   }),
 * });
 * ```
 */
export function defineProtocol(definition: ProtocolDefinition): DefinedProtocol {
  return new DefinedProtocol(definition);
}
