import { meant, sentence, shown } from '../core/messages.js';
import { innermostError } from '../core/redact.js';
import { fieldOf, isFunction, isText } from '../core/schema.js';
import type { ProtocolAnswer } from '../protocol/protocol.js';
import { RESPONSE_FAILURES } from '../protocol/status.js';
import { isPlausibleTime } from '../protocol/time.js';
import { isRecord } from './pick.js';

/** What a function of a definition threw. */
export class FunctionError extends Error {}

/** The same function, whose errors name it: else they would read like mistakes of ours. */
export const named =
  <Args extends readonly unknown[], Result>(place: string, call: (...args: Args) => Result) =>
  (...args: Args): Result => {
    try {
      return call(...args);
    } catch (error) {
      throw new FunctionError(`${place}() threw: ${innermostError(error).message.trim()}`);
    }
  };

/** Milliseconds before 1973 are seconds: the key would have expired long ago. */
const EARLIEST_MS = 1e11;

export const isEpochMs = (value: unknown): value is number => isPlausibleTime(value) && value >= EARLIEST_MS;

const FIELDS = {
  verified: ['kind', 'client', 'tenant', 'keyId', 'expiresAt', 'claims'],
  rejected: ['kind', 'reason', 'ambiguous'],
  failure: ['failure'],
} as const;

/** What a message may quote. */
export const NAME = /^[\w-]{1,40}$/;

/**
 * What is wrong with what a verdict function returned. A field of another name would be dropped without a word, and a key
 * whose end is misspelled would not end.
 */
export function returnedProblem(answer: unknown): string | undefined {
  if (!isRecord(answer)) return shown(answer);
  if (isFunction(fieldOf(answer, 'then'))) return 'a promise, and has to be synchronous';
  const { kind } = answer;
  if ('failure' in answer) return unknownField(answer, 'failure') ?? failureProblem(answer['failure']);
  if (kind === 'rejected') return unknownField(answer, kind);
  if (kind === 'verified') return unknownField(answer, kind) ?? verifiedProblem(answer);
  return sentence('kind', "'verified' or 'rejected'", kind);
}

const PREFIX = 'keyverify: ';

/** The same answer; a message in it begins as ours do, and names the protocol. */
export function withPrefix(answer: ProtocolAnswer, name: string | undefined): ProtocolAnswer {
  if (!('failure' in answer) || answer.failure.message.startsWith(PREFIX)) return answer;
  const of = name === undefined ? '' : `protocol "${name}": `;
  return { failure: { ...answer.failure, message: PREFIX + of + answer.failure.message } };
}

function unknownField(answer: Readonly<Record<string, unknown>>, kind: keyof typeof FIELDS): string | undefined {
  const known: readonly string[] = FIELDS[kind];
  const name = Object.keys(answer).find((field) => !known.includes(field) && answer[field] !== undefined);
  if (name === undefined) return undefined;
  // Sentences go on behind it.
  const hint =
    meant(name, known).replace(/, did you mean (\w+)\?/, ', but $1') ||
    (kind === 'verified' ? ': put it into claims' : '');
  return `${NAME.test(name) ? name : 'a field'}: there is no such field${hint}`;
}

function failureProblem(failure: unknown): string | undefined {
  if (!isRecord(failure) || !isText(failure['message']))
    return sentence('failure', 'an object of kind and message', failure);
  const kind = failure['kind'];
  if (isText(kind) && RESPONSE_FAILURES.has(kind)) return undefined;
  return sentence('failure.kind', "'server_error', 'rate_limited', 'misconfigured' or 'invalid_response'", kind);
}

function verifiedProblem(answer: Readonly<Record<string, unknown>>): string | undefined {
  const { client, tenant, keyId, expiresAt, claims } = answer;
  const text = 'a string that is not empty';
  if (!isText(client)) return sentence('client', text, client);
  if (!isText(tenant)) return sentence('tenant', text, tenant);
  if (keyId !== undefined && !isText(keyId)) return sentence('keyId', text, keyId);
  if (expiresAt !== undefined && !isEpochMs(expiresAt)) return sentence('expiresAt', 'epoch milliseconds', expiresAt);
  return claims === undefined || isRecord(claims) ? undefined : sentence('claims', 'an object', claims);
}
