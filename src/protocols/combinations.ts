import { isFunction } from '../core/schema.js';
import type { ProtocolDefinition, RejectRule } from './definition.js';
import { DEFAULT_AUTH, DEFAULT_KEY } from './request.js';

/** They are ours to set, or carry credentials, which would not be redacted. */
const RESERVED_HEADERS = [
  ...['host', 'content-length', 'transfer-encoding', 'connection'],
  ...['authorization', 'proxy-authorization', 'cookie'],
];

type Rule = Pick<RejectRule, 'status' | 'ambiguous'> & { readonly when?: unknown };

/** The parts of a definition that are right by themselves. */
export interface RightParts {
  readonly request: Pick<
    ProtocolDefinition,
    'method' | 'auth' | 'serviceToken' | 'key' | 'dangerouslyAllowKeyInQuery' | 'headers' | 'body'
  >;
  readonly rules: readonly { readonly at: number; readonly rule: Rule }[];
  readonly verdict: ProtocolDefinition['verdict'] | undefined;
}

/** Parts of a definition that are right by themselves, but not together. */
export function combinationIssues({ request, rules, verdict }: RightParts): readonly string[] {
  return [
    ...requestIssues(request),
    ...credentialIssues(request),
    ...when(verdict !== undefined && flagsOf(verdict) !== 1, NO_FLAG),
    ...reasonIssues(verdict),
    ...rules.flatMap(({ at, rule: { status, when: fits, ambiguous } }) =>
      when(
        fits === undefined && ambiguous !== true,
        `rejects.${at}: a bare ${status} may as well mean a wrong serviceToken or verifyUrl: expected when, or ambiguous: true`,
      ),
    ),
  ];
}

/** What is wrong with a verdict that says nowhere, or in two places, whether the key is valid. */
export const NO_FLAG = 'verdict: expected exactly one of flag and identity';

const flagsOf = (verdict: ProtocolDefinition['verdict']): number =>
  isFunction(verdict) ? 1 : [verdict.flag, verdict.identity].filter((pick) => pick !== undefined).length;

/** What translates or sorts reasons has no effect where none is read. */
function reasonIssues(verdict: RightParts['verdict']): readonly string[] {
  if (verdict === undefined || isFunction(verdict) || verdict.reason !== undefined) return [];
  const names = (['reasons', 'faults'] as const).filter((name) => verdict[name] !== undefined);
  return names.map((name) => `verdict.${name}: needs reason, the path of what it lists`);
}

function requestIssues(definition: RightParts['request']): readonly string[] {
  const { method = 'POST', key = DEFAULT_KEY, body, auth, dangerouslyAllowKeyInQuery } = definition;
  const hasBody = key.in === 'json' || key.in === 'form';
  const inBody = typeof auth === 'object' && 'field' in auth;
  const isFlat = Object.values(body ?? {}).every((value) => ['string', 'number', 'boolean'].includes(typeof value));
  return [
    ...when(method === 'GET' && hasBody, "key.in: expected 'header' or 'query' for a GET, which has no body"),
    ...when(method === 'GET' && body !== undefined, 'body: expected none for a GET'),
    ...when(method === 'GET' && inBody, 'auth: expected a header for a GET, which has no body'),
    ...when(key.in === 'form' && !isFlat, 'body: expected strings, numbers or booleans for a form'),
    ...when(
      key.in === 'query' && dangerouslyAllowKeyInQuery !== true,
      "key.in: 'query' puts keys into access logs; dangerouslyAllowKeyInQuery: true allows it",
    ),
  ];
}

function credentialIssues(definition: RightParts['request']): readonly string[] {
  const { key = DEFAULT_KEY, auth = DEFAULT_AUTH, serviceToken, headers = {} } = definition;
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  const reserved = names.filter((name) => RESERVED_HEADERS.includes(name));
  const authHeader =
    auth === 'basic' ? 'authorization' : typeof auth === 'object' && 'header' in auth ? auth.header : '';
  const keyHeader = key.in === 'header' ? key.name : undefined;
  const authPrefix = typeof auth === 'object' && 'header' in auth ? auth.prefix : undefined;
  const taken = [authHeader, keyHeader ?? ''].map((name) => name.toLowerCase());
  return [
    ...when(auth === 'none' && serviceToken !== undefined, "serviceToken: expected none with auth: 'none'"),
    ...when(lacksBlank(authHeader, authPrefix), `auth.prefix: ${BLANK}`),
    ...when(lacksBlank(keyHeader, key.prefix), `key.prefix: ${BLANK}`),
    ...reserved.map((name) => `headers.${name}: expected another header; credentials belong in auth and serviceToken`),
    ...when(
      keyHeader?.toLowerCase() === authHeader.toLowerCase(),
      'key.name: expected another header than that of auth',
    ),
    ...names.filter((name) => taken.includes(name)).map((name) => `headers.${name}: is set by auth or key already`),
  ];
}

const BLANK = "expected a blank at its end, such as in 'Bearer '";

/** There, a scheme and a blank stand before what is sent, RFC 9110 11.4. */
const lacksBlank = (header: string | undefined, prefix: string | undefined): boolean =>
  header?.toLowerCase() === 'authorization' && /\w$/.test(prefix ?? '');

const when = (isWrong: boolean, issue: string): readonly string[] => (isWrong ? [issue] : []);
