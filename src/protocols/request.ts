import { sha256 } from '#platform';

import { formEncode } from '../core/form.js';
import { isObject } from '../core/schema.js';
import { toHex } from '../core/fingerprint.js';
import { isHeaderValue } from '../core/header.js';
import { USER_AGENT } from '../protocol/default.js';
import type { Question } from '../protocol/protocol.js';
import type { WireRequest } from '../transport/transport.js';
import type { AuthDefinition, KeyDefinition, ProtocolDefinition, RequestDraft } from './definition.js';
import { isRecord, stepsOf } from './pick.js';

export const DEFAULT_KEY: KeyDefinition = { in: 'json', name: 'key' };
export const DEFAULT_AUTH: AuthDefinition = { header: 'x-service-token' };

/** What a question puts into a request. */
interface Values {
  readonly key: string;
  readonly token: string;
  readonly scope: string | undefined;
}

/** A field of the body or of the query, and what goes into it. */
interface Field {
  readonly name: string;
  readonly of: keyof Values;
}

/** Makes requests as the definition has them. */
export function encoderOf(definition: ProtocolDefinition, needsBody: (status: number) => boolean) {
  const { method = 'POST', key: place = DEFAULT_KEY, auth = DEFAULT_AUTH, sign } = definition;
  const { prefix = '', as } = place;
  const isPlain = as !== 'sha256-hex' && auth !== 'basic';
  const writeHeaders = headerWriter(definition);
  const { inBody, inQuery } = fieldsOf(definition);
  const writeBody = bodyWriter(definition, inBody);

  return (question: Question): WireRequest | Promise<WireRequest> => {
    const { scope, token } = question;
    const hash = as === 'sha256-hex' ? sha256(question.key) : undefined;
    const values = { key: prefix + (hash === undefined ? question.key : toHex(hash)), token, scope };
    const url = inQuery.length === 0 ? question.url : withQuery(question.url, inQuery, values);
    const headers = writeHeaders(values);
    const body = writeBody(values);
    const secrets = isPlain ? undefined : secretForms(hash, auth === 'basic' ? token : undefined);
    // Field by field: a spread takes V8 as long as all the rest.
    if (sign === undefined) return { url, method, headers, body, needsBody, secrets };
    const draft = { url, method, headers, body };
    const signed = sign(draft);
    const finish = (request: unknown): WireRequest => ({ ...checkSigned(request, draft), needsBody, secrets });
    return signed instanceof Promise ? signed.then(finish) : finish(signed);
  };
}

export type Encoder = ReturnType<typeof encoderOf>;

function fieldsOf({ method, key = DEFAULT_KEY, auth, scope }: ProtocolDefinition) {
  const keyField: readonly Field[] = [{ name: key.name, of: 'key' }];
  const scopeField: readonly Field[] = typeof scope === 'object' ? [{ name: scope.name, of: 'scope' }] : [];
  const tokenField: readonly Field[] =
    typeof auth === 'object' && 'field' in auth ? [{ name: auth.field, of: 'token' }] : [];
  const isKeyInBody = key.in === 'json' || key.in === 'form';
  return {
    inBody: [...(isKeyInBody ? keyField : []), ...tokenField, ...(method === 'GET' ? [] : scopeField)],
    inQuery: [...(key.in === 'query' ? keyField : []), ...(method === 'GET' ? scopeField : [])],
  };
}

function headerWriter({ method, key = DEFAULT_KEY, auth = DEFAULT_AUTH, headers: fixed = {} }: ProtocolDefinition) {
  const type = key.in === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  const authHeader = headerOf(auth);
  const authPrefix = typeof auth === 'object' && 'header' in auth ? (auth.prefix ?? '') : '';
  const keyHeader = key.in === 'header' ? key.name.toLowerCase() : undefined;
  const headers: Readonly<Record<string, string>> = {
    ...(method !== 'GET' && { 'content-type': type }),
    accept: 'application/json',
    // Without it, any coding would do (RFC 9110 12.5.3).
    'accept-encoding': 'identity',
    'user-agent': USER_AGENT,
    ...Object.fromEntries(Object.entries(fixed).map(([name, value]) => [name.toLowerCase(), value])),
    // Their places: V8 sets a field of a copy quickly, but adds one slowly.
    ...(authHeader !== undefined && { [authHeader]: '' }),
    ...(keyHeader !== undefined && { [keyHeader]: '' }),
  };
  return (values: Values): Readonly<Record<string, string>> => {
    const sent = { ...headers };
    if (authHeader !== undefined)
      sent[authHeader] = auth === 'basic' ? `Basic ${btoa(values.token)}` : authPrefix + values.token;
    if (keyHeader !== undefined) sent[keyHeader] = values.key;
    return sent;
  };
}

function headerOf(auth: AuthDefinition): string | undefined {
  if (auth === 'basic') return 'authorization';
  return typeof auth === 'object' && 'header' in auth ? auth.header.toLowerCase() : undefined;
}

function bodyWriter(
  { method, key, body = {} }: ProtocolDefinition,
  fields: readonly Field[],
): (values: Values) => string | undefined {
  if (method === 'GET') return () => undefined;
  if (key?.in === 'form') {
    const fixed = Object.entries(body).map(([name, value]): [string, string] => [name, String(value)]);
    return (values) => formBody([...fixed, ...present(fields, values)]);
  }
  const isFlat = fields.every(({ name }) => stepsOf(name).length === 1 && !Object.hasOwn(body, name));
  if (!isFlat)
    return (values) =>
      JSON.stringify(
        present(fields, values).reduce<object>((tree, [name, value]) => withField(tree, stepsOf(name), value), body),
      );
  // Nearly always, and a miss is measured: all but the values is written once.
  const start = JSON.stringify(body).slice(0, -1);
  const names = fields.map(({ name, of }) => ({ name: `${JSON.stringify(name)}:`, of }));
  return (values) => {
    let text = start;
    for (const { name, of } of names) {
      const value = values[of];
      if (value !== undefined) text += (text === '{' ? '' : ',') + name + JSON.stringify(value);
    }
    return `${text}}`;
  };
}

const present = (fields: readonly Field[], values: Values): readonly [string, string][] =>
  fields.flatMap(({ name, of }): [string, string][] => {
    const value = values[of];
    return value === undefined ? [] : [[name, value]];
  });

const formBody = (fields: readonly (readonly [string, string])[]): string =>
  fields.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&');

/** A copy of the object with this value in it: what the definition holds is not changed. */
function withField(object: object, steps: readonly string[], value: string): object {
  const name = String(steps[0]);
  const rest = steps.slice(1);
  const there: unknown = Reflect.get(object, name);
  return { ...object, [name]: rest.length === 0 ? value : withField(isRecord(there) ? there : {}, rest, value) };
}

const withQuery = (url: string, fields: readonly Field[], values: Values): string =>
  `${url}${url.includes('?') ? '&' : '?'}${formBody(present(fields, values))}`;

const secretForms = (hash: string | undefined, basic: string | undefined): readonly string[] => [
  ...(hash === undefined ? [] : digestForms(hash)),
  ...(basic === undefined ? [] : basicForms(basic)),
];

/** How a server may quote a hash; as good as the key where it takes the hash for the key. */
function digestForms(hash: string): readonly string[] {
  const hex = toHex(hash);
  const base64 = base64Of(hash);
  return [hex, hex.toUpperCase(), base64, base64.replaceAll('+', '-').replaceAll('/', '_')];
}

/** Without padding, so that it is found with and without. */
const base64Of = (text: string): string => btoa(text).replaceAll('=', '');

/** The password alone is a secret, too, and so it is before it was encoded for a form (RFC 6749 2.3.1). */
function basicForms(token: string): readonly string[] {
  const password = token.slice(token.indexOf(':') + 1);
  const decoded = decodeForm(password);
  return [base64Of(token), password, ...(decoded === undefined ? [] : [decoded])];
}

function decodeForm(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    return undefined;
  }
}

/** What `sign` returns is the caller's: it must not lead the key elsewhere. */
function checkSigned(signed: unknown, draft: RequestDraft): RequestDraft {
  const wrong = (what: string): never => {
    throw new TypeError(`sign() returned ${what}`);
  };
  if (!isObject(signed)) return wrong('no request');
  const { url, method, headers, body } = { ...draft, ...signed };
  const entries = Object.entries(headers);
  if (!URL.canParse(url) || new URL(url).origin !== new URL(draft.url).origin) return wrong('another origin');
  if (method !== draft.method) return wrong('another method');
  if (!entries.every(([, value]) => isHeaderValue(value))) return wrong('a header that cannot be sent');
  if (body !== undefined && typeof body !== 'string') return wrong('a body that is not text');
  return { url, method, headers: Object.fromEntries(entries), body };
}
