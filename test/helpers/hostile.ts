import type { WireResponse } from '../../src/transport/transport.js';
import type { Chance } from './chance.js';

export const DATES = [
  ...[
    '2027-01-01T00:00:00Z',
    '2025-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z',
    '2027-01-01 00:00:00+02:00',
    '2027-01-01',
  ],
  ...[
    '',
    'never',
    '2027-02-31T25:61:00Z',
    0,
    -1,
    1_800_000_000,
    1_800_000_000_000,
    1e308,
    -1e308,
    0.5,
    null,
    true,
    {},
    [],
  ],
];
const VALUES = [
  null,
  true,
  false,
  0,
  -0,
  1e308,
  '',
  'x',
  'acme',
  [],
  {},
  [[[]]],
  { a: { b: null } },
  '\ud800',
  '\udfff\ud800',
];
export const FIELDS = [
  ...['valid', 'client', 'tenant', 'key_id', 'expires_at', 'reason', 'plan', 'scope', 'key', 'error', ''],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'source', 'claims', 'length'],
];
const TYPES = [
  ...[
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/problem+json',
    'text/html',
  ],
  ...['', 'json', 'text/plain', 'application/jsonp', 'application/json\r\n', ',', 'application/octet-stream'],
];
const CACHE = [
  ...['no-store', 'no-cache', 'max-age=10', 'max-age=-1', 'max-age=1e9', 'MAX-AGE="5"', 'max-age=9'.padEnd(400, '9')],
  ...['', ',', ',,;=', 'max-age', 'max-age=NaN', 's-maxage=1', 'private="max-age=1,no-store"', '\0', 'max-age=٣'],
];
const AGES = ['0', '5', '-1', '1.5', '5, 7', ' 5', '9'.repeat(400), 'NaN', '', ','];
const RETRY = ['3', '0', '-1', '1e9', '9'.repeat(400), 'Fri, 06 Nov 2026 08:49:37 GMT', 'soon', '', 'NaN', 'Fri, GMT'];
const STATUSES = [
  0,
  -1,
  100,
  199,
  201,
  204,
  299,
  301,
  307,
  308,
  400,
  401,
  403,
  404,
  418,
  429,
  499,
  500,
  503,
  599,
  600,
  NaN,
];

/** The ways in which a server may echo a secret. */
export function echo(secret: string, chance: Chance): string {
  const inForm = new URLSearchParams({ key: secret }).toString();
  const forms = [secret, JSON.stringify(secret), encodeURIComponent(secret), inForm, `Bearer ${secret}`];
  return chance.of([
    ...forms,
    `${secret}${secret}`,
    `?key=${encodeURIComponent(secret)}&`,
    JSON.stringify({ key: secret }),
  ]);
}

export function value(chance: Chance, secrets: readonly string[], depth = 0): unknown {
  if (chance.in(4)) return echo(chance.of(secrets), chance);
  if (depth > 3 || !chance.in(4)) return chance.of(VALUES);
  if (chance.in(2)) return Array.from({ length: chance.below(3) }, () => value(chance, secrets, depth + 1));
  const inner = [chance.of(FIELDS), chance.in(3) ? echo(chance.of(secrets), chance) : 'x'];
  return Object.fromEntries(inner.map((field) => [field, value(chance, secrets, depth + 1)]));
}

/** A verdict of the default contract as text, mutated field by field; some twice, some in a prototype, some deeper than a stack is. */
export function hostileVerdict(chance: Chance, secrets: readonly string[]): string {
  const fields: [string, unknown][] = [
    ['valid', chance.in(8) ? chance.of<unknown>(['true', 1, null, 'false', {}, [true]]) : !chance.in(4)],
    ['client', 'acme'],
    ['tenant', 'cust-A'],
  ];
  if (chance.in(2)) fields.push(['key_id', chance.in(3) ? value(chance, secrets) : 'k-1']);
  if (chance.in(2)) fields.push(['expires_at', chance.of(DATES)]);
  if (chance.in(2)) fields.push(['reason', chance.in(2) ? 'revoked' : value(chance, secrets)]);
  for (let more = chance.below(4); more > 0; more--) fields.push([chance.of(FIELDS), value(chance, secrets)]);
  if (chance.in(3)) fields.push([echo(chance.of(secrets), chance), 1]);
  if (chance.in(4)) fields.splice(chance.below(fields.length), 1);
  if (chance.in(4)) fields.push(chance.of(fields));
  const members = fields.map(([field, it]) => `${JSON.stringify(field)}:${JSON.stringify(it)}`);
  if (chance.in(40)) members.push(`"huge":1${'0'.repeat(400)}`, `"expires_at":${chance.of(['1e999', '-1e999'])}`);
  if (chance.in(2_000)) members.push(`"deep":${'[{"a":'.repeat(5_000)}0${'}]'.repeat(5_000)}`);
  const text = `{${members.join(',')}}`;
  return chance.in(30) ? `{"__proto__":${text}}` : chance.in(60) ? `[${text}]` : text;
}

/** Writes the JSON of a body, as it should be or nearly so. */
type WriteJson = (chance: Chance, secrets: readonly string[]) => string;

/** The bytes of a body: as they should be, or torn, swapped, doubled, with bytes that are no UTF-8. */
function body(chance: Chance, secrets: readonly string[], write: WriteJson): Uint8Array {
  if (chance.in(20)) return Uint8Array.from({ length: chance.below(40) }, () => chance.below(256));
  if (chance.in(20)) return Buffer.from(JSON.stringify(value(chance, secrets)) || '');
  const bytes = Buffer.from(write(chance, secrets));
  if (!chance.in(3)) return bytes;
  const at = chance.below(bytes.length);
  const noise = Uint8Array.from({ length: chance.below(4) }, () => chance.below(256));
  return chance.of([
    bytes.subarray(0, at),
    Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]),
    Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at + noise.length)]),
    Buffer.concat([bytes, bytes]),
    Buffer.concat([Uint8Array.of(0xef, 0xbb, 0xbf), bytes]),
    Buffer.from(bytes.toString(), 'utf16le'),
  ]);
}

const named = (name: string, it: string): [string, string][] => [[name, it]];

/** A response whose body is written by `write`, and in which anything may be wrong. */
export function hostileResponse(chance: Chance, secrets: readonly string[], write: WriteJson): WireResponse {
  const headers = new Map([
    ...(chance.in(30) ? [] : named('content-type', chance.in(6) ? chance.of(TYPES) : 'application/json')),
    ...(chance.in(3) ? named('cache-control', `${chance.of(CACHE)}, ${chance.of(CACHE)}`) : []),
    ...(chance.in(3) ? named('age', chance.of(AGES)) : []),
    ...(chance.in(6) ? named('retry-after', chance.of(RETRY)) : []),
    ...(chance.in(30) ? named('content-type', echo(chance.of(secrets), chance)) : []),
  ]);
  const status = chance.in(8) ? chance.of(STATUSES) : 200;
  return { status, header: (name) => headers.get(name), body: body(chance, secrets, write) };
}

/** Every text in a tree, names of fields included, however deep it is. */
export function texts(tree: unknown): string[] {
  const found: string[] = [];
  const pending = [tree];
  while (pending.length > 0) {
    const node = pending.pop();
    if (typeof node === 'string') found.push(node);
    if (typeof node === 'object' && node !== null)
      for (const name of Reflect.ownKeys(node)) pending.push(String(name), Reflect.get(node, name));
  }
  return found;
}

/** The JSON object of a response with this status, if it can be read at all: found out without the code that is tested. */
export function readableJson({ status, header, body }: WireResponse, accepted: number): object | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
    return isObject && status === accepted && /json/i.test(header('content-type') ?? '') ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The forms in which a secret must not be told. */
export const formsOf = (secret: string): string[] => [
  secret,
  JSON.stringify(secret).slice(1, -1),
  encodeURIComponent(secret),
  new URLSearchParams({ '': secret }).toString().slice(1),
];
