import { isText } from '../core/schema.js';
import { parseJson } from '../protocol/json.js';
import type { DecodeContext, ProtocolAnswer } from '../protocol/protocol.js';
import { invalidResponse, notVerdict, statusFailure } from '../protocol/status.js';
import type { WireResponse } from '../transport/transport.js';
import type { ProtocolDefinition, RejectRule } from './definition.js';
import { FunctionError, named, returnedProblem, withPrefix } from './functions.js';
import { verdictReader, type VerdictReader } from './verdict.js';

/** Reads responses as the definition has them. `credentials`: the options to check when the server refuses them. */
export function decoderOf(definition: ProtocolDefinition, credentials?: string) {
  const { name, auth, accepts = [200], rejects = [], verdict } = definition;
  const toCheck = credentials ?? (auth === 'none' ? 'auth' : 'serviceToken');
  const reader = typeof verdict === 'function' ? functionReader(verdict, name) : verdictReader(verdict, name);
  const rules = rejects.map((rule, at) => ({ ...rule, when: rule.when && named(`rejects.${at}.when`, rule.when) }));
  const picksReason = typeof verdict === 'object' && verdict.reason !== undefined;
  const needsBody = (status: number): boolean =>
    accepts.includes(status) ||
    rules.some((rule) => rule.status === status && (rule.when !== undefined || picksReason));

  const reject = (rule: RejectRule, json: unknown, context: DecodeContext): ProtocolAnswer => {
    const { status, reason, ambiguous } = rule;
    const picked = reason ?? reader.reason?.(json, context);
    const fallback = status === 429 ? 'rate_limited' : undefined;
    return reader.fault?.(json, context) ?? { kind: 'rejected', reason: isText(picked) ? picked : fallback, ambiguous };
  };

  const read = (response: WireResponse, context: DecodeContext): ProtocolAnswer => {
    const { status } = response;
    const json = needsBody(status) ? parseJson(response) : 'no JSON that is needed';
    if (accepts.includes(status))
      return typeof json === 'string' ? invalidResponse(json) : reader.read(json.value, context);
    const value = typeof json === 'string' ? undefined : json.value;
    const fits = ({ when }: RejectRule): boolean => {
      if (when === undefined) return true;
      const matched: unknown = typeof json === 'string' ? false : when(value);
      return matched === true;
    };
    const rule = rules.find((rule) => rule.status === status && fits(rule));
    if (rule !== undefined) return reject(rule, value, context);
    const failure = statusFailure(response, context.askedAt);
    return { failure: { ...failure, message: failure.message.replace('serviceToken', toCheck) } };
  };

  const decode = (response: WireResponse, context: DecodeContext): ProtocolAnswer => {
    try {
      return read(response, context);
    } catch (error) {
      if (error instanceof FunctionError) return notVerdict(error.message, name);
      throw error;
    }
  };
  return { needsBody, decode };
}

/** Reads by a function, which has to return what it means to. */
function functionReader(
  verdict: Extract<ProtocolDefinition['verdict'], (...args: never) => unknown>,
  name: string | undefined,
): VerdictReader {
  const call = named('verdict', verdict);
  return {
    read(json, context) {
      const answer = call(json, context);
      const problem = returnedProblem(answer);
      return problem === undefined ? withPrefix(answer, name) : notVerdict(`verdict() returned ${problem}`, name);
    },
  };
}
