import { isHeaderName, isHeaderValue } from '../core/header.js';
import { lazy } from '../core/lazy.js';
import { anything, check, fieldOf, func, isFunction, isText, optional, parse, strict } from '../core/schema.js';
import { issueMessages, sentence } from '../core/messages.js';
import { urlIssue } from '../options/verify-url.js';
import { isNeverVerdict } from '../protocol/status.js';
import { isPlainObject, isRecord } from './pick.js';
import { isPath, kinds } from './preset.js';
import { explain, isAccepted } from './explain.js';
import { combinationIssues, NO_FLAG, type RightParts } from './combinations.js';
import type { ProtocolDefinition } from './definition.js';

const oneOf = <T extends string>(...values: readonly T[]) =>
  check(
    (value): value is T => values.some((known) => known === value),
    values.map((value) => `'${value}'`).join(' or '),
  );

const areHeaders = (value: unknown): value is Readonly<Record<string, string>> =>
  isPlainObject(value) && Object.entries(value).every(([name, text]) => isHeaderName(name) && isHeaderValue(text));

const isAuth = (value: unknown): value is NonNullable<ProtocolDefinition['auth']> => {
  if (value === 'none' || value === 'basic') return true;
  if (!isRecord(value)) return false;
  const { header, prefix, field, ...others } = value;
  if (Object.keys(others).length > 0) return false;
  if (field !== undefined) return isPath(field) && header === undefined && prefix === undefined;
  return isHeaderName(header) && (prefix === undefined || (typeof prefix === 'string' && isHeaderValue(`${prefix}x`)));
};
const isScope = (value: unknown): value is NonNullable<ProtocolDefinition['scope']> =>
  value === 'enforce-locally' || (isRecord(value) && Object.keys(value).join() === 'name' && isPath(value['name']));

const areTexts = (value: unknown): value is Readonly<Record<string, string>> =>
  isPlainObject(value) && Object.values(value).every(isText);
const isJson = (value: unknown): value is Readonly<Record<string, unknown>> => {
  try {
    return isPlainObject(value) && typeof JSON.stringify(value) === 'string';
  } catch {
    return false;
  }
};

const areAccepted = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every(isAccepted);
const isRejecting = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 400 && !isNeverVerdict(Number(value));

const schemas = lazy(() => {
  const { text, pick, flag, token, texts } = kinds();
  const key = {
    in: oneOf('json', 'form', 'header', 'query'),
    name: check(isPath, 'a name, or names with dots between them'),
    prefix: optional(text),
    as: optional(oneOf('plain', 'sha256-hex')),
  };
  const expires = { at: pick, unit: oneOf('iso', 's', 'ms', 'iso-or-s') };
  const verdict = {
    flag: optional(pick),
    identity: optional(pick),
    client: pick,
    tenant: pick,
    keyId: optional(pick),
    expires: optional(strict(expires, 'an object of at and unit')),
    reason: optional(pick),
    reasons: optional(check(areTexts, 'an object of strings')),
    faults: optional(texts),
    claims: optional(pick),
  };
  const verdictSchema = strict(verdict, 'a function, or an object of flag or identity, client and tenant');
  const definition = {
    name: optional(text),
    url: optional(text),
    method: optional(oneOf('POST', 'GET')),
    auth: optional(check(isAuth, "'none', 'basic', { header, prefix? } or { field }")),
    serviceToken: optional(token),
    key: optional(strict(key, 'an object of in and name')),
    dangerouslyAllowKeyInQuery: optional(flag),
    scope: optional(check(isScope, "{ name } or 'enforce-locally'")),
    headers: optional(check(areHeaders, 'header names and printable ASCII')),
    body: optional(check(isJson, 'an object that JSON can hold')),
    sign: optional(func()),
    admits: optional(func()),
    ignoreCacheControl: optional(flag),
    accepts: optional(check(areAccepted, 'an array of statuses from 200 to 299')),
    rejects: optional(check((value): value is unknown[] => Array.isArray(value), 'an array')),
    verdict: verdictSchema,
  };
  const rule = {
    status: check(isRejecting, 'a status from 400 to 499, other than 408, 421 and 425'),
    when: optional(func()),
    ambiguous: optional(check((value): value is true => value === true, 'true')),
    reason: optional(text),
  };
  return {
    declarative: strict(definition, 'an object'),
    functional: strict({ ...definition, verdict: anything() }),
    verdict: verdictSchema,
    rule: strict(rule, 'an object of status and when or ambiguous'),
    names: {
      '': Object.keys(definition),
      key: Object.keys(key),
      verdict: Object.keys(verdict),
      'verdict.expires': Object.keys(expires),
    },
    ruleNames: { '': Object.keys(rule) },
  };
});

/** Names the header that is wrong, or what to write for a bearer token. */
function authIssue(issue: string, auth: unknown): string | undefined {
  if (headOf(issue) !== 'auth') return undefined;
  if (typeof auth === 'string' && auth.toLowerCase() === 'bearer')
    return `${issue}; for a bearer token, write { header: 'authorization', prefix: 'Bearer ' }`;
  if (!isRecord(auth) || isHeaderName(auth['header'])) return undefined;
  const isOfHeader = 'header' in auth && Object.keys(auth).every((name) => name === 'header' || name === 'prefix');
  return isOfHeader ? sentence('auth.header', 'the name of a header', auth['header']) : undefined;
}

/** One sentence for each mistake in a definition. */
export function definitionIssues(definition: ProtocolDefinition): readonly string[] {
  const { declarative, functional, rule: ruleSchema, names, ruleNames } = schemas();
  const verdict: unknown = fieldOf(definition, 'verdict');
  const parsed = parse(isFunction(verdict) ? functional : declarative, definition, { reportInput: true });
  const issues = parsed.success
    ? []
    : issueMessages(parsed.error.issues, names)
        .map((issue) => placed('', issue))
        .flatMap((issue) => authIssue(issue, fieldOf(definition, 'auth')) ?? explain(issue, definition));
  const url: unknown = fieldOf(definition, 'url');
  const wrongUrl = isText(url) ? urlIssue(url, true) : undefined;
  if (wrongUrl !== undefined) issues.push(`url: ${wrongUrl}`);
  const rejects: unknown = fieldOf(definition, 'rejects');
  const rules = (Array.isArray(rejects) ? rejects : []).flatMap((given: unknown, at) => {
    const read = parse(ruleSchema, given, { reportInput: true });
    if (read.success) return [{ at, rule: read.data }];
    issues.push(...issueMessages(read.error.issues, ruleNames).map((issue) => placed(`rejects.${at}`, issue)));
    return [];
  });
  return [...issues, ...missingFlag(verdict, issues), ...issuesOfRightParts(definition, issues, rules)];
}

const OF_FLAG = /^verdict\.(?:flag|identity)\b|did you mean (?:flag|identity)\?/;

/** A verdict with other mistakes may lack its flag, too, unless that is what is misspelled. */
function missingFlag(verdict: unknown, issues: readonly string[]): readonly string[] {
  const own = issues.filter((issue) => headOf(issue) === 'verdict');
  if (own.length === 0 || !isRecord(verdict) || own.some((issue) => OF_FLAG.test(issue))) return [];
  return (verdict['flag'] === undefined) === (verdict['identity'] === undefined) ? [NO_FLAG] : [];
}

/** What is wrong with the parts that have no issue of their own, together. */
function issuesOfRightParts(
  definition: ProtocolDefinition,
  issues: readonly string[],
  rules: RightParts['rules'],
): readonly string[] {
  const { functional, verdict: verdictSchema, names } = schemas();
  const isWrong = (name: string): boolean => issues.some((issue) => headOf(issue) === name);
  const isRight = ([name]: readonly [string, unknown]): boolean => name === 'verdict' || !isWrong(name);
  const right = isRecord(definition) ? Object.fromEntries(Object.entries(definition).filter(isRight)) : definition;
  const request = parse(functional, right);
  if (!request.success) return [];
  const own = definition.verdict;
  const read = parse(verdictSchema, own);
  const verdict = typeof own === 'function' ? own : read.success ? own : undefined;
  const isMisspelled = Object.keys(definition).some((name) => !names[''].includes(name));
  // Of a part that is misspelled or wrong, not its default is meant.
  return combinationIssues({ request: request.data, rules, verdict }).filter((issue) => {
    const part = headOf(issue);
    return part === 'rejects' || Object.hasOwn(right, part) || (!isMisspelled && !isWrong(part));
  });
}

const headOf = (issue: string): string => String(issue.split(/[.:]/)[0]);

/** An issue of the whole begins with a colon. */
function placed(place: string, issue: string): string {
  if (issue.startsWith(':')) return (place === '' ? 'definition' : place) + issue;
  return place === '' ? issue : `${place}.${issue}`;
}
