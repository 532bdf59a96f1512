import type { AttemptFailure } from '../core/failure.js';
import { containsSecret, redact, redactError, sanitize } from '../core/redact.js';
import { rejected } from '../core/result.js';
import { isObject, isText } from '../core/schema.js';
import type { Freshness } from '../core/verdict.js';
import type { WireResponse } from '../transport/transport.js';
import { freshnessOf } from './freshness.js';
import type { DecodeContext, DecodedVerdict, ProtocolAnswer, ProtocolFailure, WireProtocol } from './protocol.js';
import { isNeverVerdict, notVerdict, RESPONSE_FAILURES, statusFailure } from './status.js';
import { isPlausibleTime } from './time.js';

export type Decoded = DecodedVerdict | { readonly failure: AttemptFailure };
type VerifiedAnswer = Extract<ProtocolAnswer, { readonly kind: 'verified' }>;

/** A reason is kept for as long as the rejection, so its length is bounded, in UTF-16 code units. */
const MAX_REASON_LENGTH = 128;

/** What callers do with claims may be recursive, as `JSON.stringify()` is: a response has room for 30 000 levels. */
const MAX_LEVELS = 64;

/** What a response says, checked: here is what no protocol can change. */
export function decodeResponse(protocol: WireProtocol, response: WireResponse, context: DecodeContext): Decoded {
  if (isNeverVerdict(response.status)) return { failure: statusFailure(response, context.askedAt) };
  try {
    const cacheControl = protocol.ignoreCacheControl === true ? undefined : response.header('cache-control');
    const freshness = freshnessOf(cacheControl, response.header('age'));
    const scope = protocol.scope === 'compared' ? context.scope : undefined;
    return checkAnswer(protocol.decode(response, context), response.status, freshness, { ...context, scope });
  } catch (error) {
    return invalid('something the protocol could not read', redactError(error, context.secrets));
  }
}

/** Checks an answer with this status; with a scope in the context, the tenant has to be the same. */
export function checkAnswer(
  answer: ProtocolAnswer,
  status: number,
  freshness: Freshness,
  context: DecodeContext,
): Decoded {
  if ('failure' in answer) return { failure: checkFailure(answer.failure, context.secrets) };
  const reject = (reason: string, ambiguous = false): Decoded => ({
    kind: 'rejected',
    result: rejected('server', reason),
    freshness,
    ambiguous,
  });
  // A rejection stands even if its reason can't be used: only a verified key has to be complete.
  if (answer.kind === 'rejected')
    return reject(isUsable(answer.reason, context.secrets) ? answer.reason : 'rejected', answer.ambiguous === true);
  const problem = verifiedProblem(answer, status, context.secrets);
  if (problem !== undefined) return notVerdict(problem);
  const { client, tenant, keyId, expiresAt, claims } = answer;
  if (expiresAt !== undefined && expiresAt <= context.askedAt) return reject('expired');
  if (context.scope !== undefined && tenant !== context.scope) return reject('scope_mismatch');
  // Not by spreading: V8 gives each object that was made so a hidden class of its own when it is frozen, which is 120 bytes.
  const safeClaims = Object.fromEntries(Object.entries(claims ?? {}));
  if (sanitize(safeClaims, context.secrets) > MAX_LEVELS)
    return notVerdict(`the claims are nested deeper than ${MAX_LEVELS} levels`);
  return { kind: 'verified', client, tenant, keyId, expiresAt, claims: safeClaims, freshness };
}

/** What a protocol may hand out as a verified key is checked here once more: it may be the caller's own. */
function verifiedProblem(answer: VerifiedAnswer, status: number, secrets: readonly string[]): string | undefined {
  const { client, tenant, keyId, expiresAt, claims = {} } = answer;
  const kind: string = answer.kind;
  if (kind !== 'verified') return 'the protocol says neither verified nor rejected';
  if (status >= 300) return `the status is ${status}`;
  if (!isText(client) || !isText(tenant)) return 'client and tenant have to be strings';
  if (keyId !== undefined && !isText(keyId)) return 'the key id has to be a string';
  if ([client, tenant, keyId ?? ''].some((field) => containsSecret(field, secrets)))
    return 'client, tenant or key id holds a secret';
  if (expiresAt !== undefined && !isPlausibleTime(expiresAt)) return 'the expiry is not a time before the year 10000';
  return isObject(claims) && !Array.isArray(claims) ? undefined : 'the claims are not an object';
}

const isUsable = (reason: unknown, secrets: readonly string[]): reason is string =>
  isText(reason) && reason.length <= MAX_REASON_LENGTH && redact(reason, secrets) === reason;

function checkFailure(failure: ProtocolFailure, secrets: readonly string[]): AttemptFailure {
  const { kind, message, status, retryAfterMs, tokenRefused } = failure;
  const known = RESPONSE_FAILURES.has(kind) ? kind : 'invalid_response';
  const checked = { kind: known, message: redact(message, secrets), status, retryAfterMs };
  return tokenRefused === true ? { ...checked, tokenRefused } : checked;
}

function invalid(what: string, cause?: Error): { readonly failure: AttemptFailure } {
  return { failure: { kind: 'invalid_response', message: `keyverify: the key server answered with ${what}`, cause } };
}
