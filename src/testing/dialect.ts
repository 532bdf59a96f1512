import type { IncomingHttpHeaders } from 'node:http';

import { InvalidOptionsError } from '../core/errors.js';
import { isText } from '../core/schema.js';
import { decodeResponse } from '../protocol/decode.js';
import type { DefinedProtocol } from '../protocols/define.js';
import type { AuthDefinition, KeyDefinition, ProtocolDefinition } from '../protocols/definition.js';
import { ownField, stepsOf, valueAt } from '../protocols/pick.js';
import { DEFAULT_AUTH, DEFAULT_KEY } from '../protocols/request.js';
import type { IssuedKey, KeyBook } from './book.js';
import type { VerifyBody } from './endpoint.js';
import { PRESET_RESPONSES } from './presets.js';
import { draftReply, type DraftReply, type KeyAnswer, type Respond } from './reply.js';

/** A request as it came. */
interface RawRequest {
  readonly headers: IncomingHttpHeaders;
  /** With its query. */
  readonly url: string;
  readonly body: string;
}

/** The key server's side of a protocol. */
export interface Dialect {
  readonly method: string;
  /** Accepted where no others are set. */
  readonly serviceTokens: readonly string[];
  /** Headers that hold the key or the token. */
  readonly secretHeaders: readonly string[];
  /** Whether the service token of the request is one of these. */
  accepts(request: RawRequest, tokens: ReadonlySet<unknown>): boolean;
  /** `undefined` if there is no key where it should be. */
  parse(request: RawRequest): VerifyBody | undefined;
  write(answer: KeyAnswer): DraftReply;
}

/** Throws `InvalidOptionsError` where the protocol picks by functions what only a `respond` can write. */
export function dialectOf(protocol: DefinedProtocol, respond: Respond | undefined, book: KeyBook): Dialect {
  const { definition } = protocol;
  const { method = 'POST', key = DEFAULT_KEY, auth = DEFAULT_AUTH, scope, serviceToken } = definition;
  const shape = respond ?? ownField(PRESET_RESPONSES, definition.name ?? '');
  const write = (answer: KeyAnswer): DraftReply => {
    const draft = draftReply(definition, answer);
    return isRespond(shape) ? shape(answer, draft) : draft;
  };
  checkReplies(protocol, write);
  return {
    method,
    serviceTokens: [typeof serviceToken === 'string' ? serviceToken : 'service-token'],
    secretHeaders: [placeOf(auth).header, key.in === 'header' ? key.name.toLowerCase() : ''],
    accepts: (request, tokens) => auth === 'none' || tokens.has(tokenIn(request, definition, auth)),
    parse(request) {
      const sent = keyIn(request, definition, key);
      const asked = typeof scope === 'object' ? fieldIn(request, definition, scope.name) : undefined;
      if (!isText(sent) || (asked !== undefined && !isText(asked))) return undefined;
      return { key: key.as === 'sha256-hex' ? (book.keyOfHash(sent) ?? sent) : sent, scope: asked };
    },
    write,
  };
}

/** The path at which the protocol reads both client and tenant, if it is the same. */
export function ownerPlace({ definition: { verdict } }: DefinedProtocol): string | undefined {
  if (typeof verdict === 'function' || typeof verdict.client !== 'string') return undefined;
  return verdict.client === verdict.tenant ? verdict.client : undefined;
}

const isRespond = (value: unknown): value is Respond => typeof value === 'function';

/** A header in lower case, and what stands before the token; empty where the token isn't sent in a header. */
function placeOf(auth: AuthDefinition): { readonly header: string; readonly prefix: string } {
  if (auth === 'basic') return { header: 'authorization', prefix: 'Basic ' };
  if (auth === 'none' || 'field' in auth) return { header: '', prefix: '' };
  return { header: auth.header.toLowerCase(), prefix: auth.prefix ?? '' };
}

function tokenIn(request: RawRequest, definition: ProtocolDefinition, auth: AuthDefinition): unknown {
  if (typeof auth === 'object' && 'field' in auth) return fieldIn(request, definition, auth.field);
  const { header, prefix } = placeOf(auth);
  const sent = withoutPrefix(request.headers[header], prefix);
  return auth === 'basic' && sent !== undefined ? Buffer.from(sent, 'base64').toString() : sent;
}

function keyIn(
  request: RawRequest,
  definition: ProtocolDefinition,
  { in: place, name, prefix = '' }: KeyDefinition,
): unknown {
  const sent = place === 'header' ? request.headers[name.toLowerCase()] : fieldIn(request, definition, name, place);
  return withoutPrefix(sent, prefix);
}

const withoutPrefix = (text: unknown, prefix: string): string | undefined =>
  typeof text === 'string' && text.startsWith(prefix) ? text.slice(prefix.length) : undefined;

/** Where there is no body, fields are in the query. */
function fieldIn(
  { url, body }: RawRequest,
  { method, key }: ProtocolDefinition,
  name: string,
  place?: string,
): unknown {
  if (method === 'GET' || place === 'query')
    return new URL(url, 'http://localhost').searchParams.get(name) ?? undefined;
  if (key?.in === 'form') return new URLSearchParams(body).get(name) ?? undefined;
  try {
    return valueAt(JSON.parse(body), stepsOf(name));
  } catch {
    return undefined;
  }
}

const SAMPLE: IssuedKey = {
  client: 'sample',
  tenant: 'sample',
  keyId: 'sample',
  scopes: ['sample'],
  expiresAt: 4_000_000_000_000,
  claims: { sample: true },
};

/** Tries out whether the protocol reads what is written in its name. */
function checkReplies(protocol: DefinedProtocol, write: (answer: KeyAnswer) => DraftReply): void {
  const kindOf = (answer: KeyAnswer): string => {
    const { status, json } = write(answer);
    const body = new TextEncoder().encode(JSON.stringify(json));
    const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
    const context = { secrets: [], askedAt: 0, scope: undefined };
    const decoded = decodeResponse(protocol, { status, header, body }, context);
    return 'failure' in decoded ? decoded.failure.message : decoded.kind;
  };
  const issues = [
    ...(kindOf(SAMPLE) === 'verified'
      ? []
      : ['respond: expected a function that writes a valid key as the protocol reads it']),
    ...(kindOf('revoked') === 'rejected'
      ? []
      : ['respond: expected a function that writes a rejected key as the protocol reads it']),
  ];
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}
