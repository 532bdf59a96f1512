import { shown } from '../core/messages.js';
import type { OneOf } from '../core/one-of.js';
import { fieldOf } from '../core/schema.js';
import type { GuardRequest } from './request.js';

/**
 * Where a key may be in a request.
 *
 * - `'bearer'`: `Authorization: Bearer <key>`, the scheme in any case.
 * - `{ header }`: the whole value of a header. For `Authorization: Bearer <key>`, write `'bearer'`.
 * - `{ query }`: a parameter of the query, for clients that can't send headers. Access logs record it.
 * - `{ cookie }`: a cookie, quoted or not, percent-decoded.
 * - `{ subprotocol }`: a WebSocket subprotocol with this prefix, for browsers, which can't send headers there:
 *   `new WebSocket(url, ['v1', 'key.sk-1'])` with `{ subprotocol: 'key.' }`.
 */
export type KeySource =
  | 'bearer'
  | OneOf<{
      readonly header: string;
      readonly query: string;
      readonly cookie: string;
      readonly subprotocol: string;
    }>;

/** Where a key is looked for by default. */
const DEFAULT_SOURCES: readonly KeySource[] = ['bearer', { header: 'x-api-key' }];

function placeOf(source: KeySource): string {
  if (source === 'bearer') return 'Authorization: Bearer <key>';
  if (source.header !== undefined) return `the header ${source.header}`;
  if (source.query !== undefined) return `the query parameter ${source.query}`;
  if (source.cookie !== undefined) return `the cookie ${source.cookie}`;
  return `the subprotocol ${source.subprotocol}<key>`;
}

/** Tells a caller how to send a key. */
export const howToSend = (sources: readonly KeySource[] = DEFAULT_SOURCES): string =>
  `Send the key as ${sources.map(placeOf).join(', or as ')}.`;

/** A key, none (`null`), or several candidates (or one that may be several): never guessed. */
export type KeyFound = { readonly key: string | null } | { readonly ambiguous: true };

/** Matched against the scheme alone, not the key: the engine keeps the last text that matched, as RegExp.input. */
const BEARER = /^bearer[ \t]/i;
const BEARER_LENGTH = 'bearer'.length;

/**
 * Whether a value may be several: a comma joins headers that were sent twice, and white space is in no key. By hand, since
 * a regular expression would leave the value in RegExp.input.
 */
function maybeSeveral(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code <= 0x20 || code === 0x2c || (code >= 0x80 && value.charAt(at).trim() === '')) return true;
  }
  return false;
}

function fromCookies(lines: readonly string[], name: string): string[] {
  return lines
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => decoded(unquoted(pair.slice(name.length + 1))));
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** As the parsers of cookies do it: what is not percent-encoded is taken as it is. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function fromQuery(url: string, name: string): string[] {
  const start = url.indexOf('?');
  return start < 0 ? [] : new URLSearchParams(url.slice(start)).getAll(name);
}

/** The subprotocols that a client offers. */
export function subprotocols(lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(',')).map((name) => name.trim());
}

const isBearer = (value: string): boolean => BEARER.test(value.slice(0, BEARER_LENGTH + 1));

/** Whether an `Authorization` has a bearer in it. A header that was sent twice may come joined by a comma. */
export function hasBearer(value: string): boolean {
  return value.split(',').some((part) => isBearer(part.trimStart()));
}

/** A request that an adapter made wrongly. The message quotes nothing of it. */
class WrongRequest extends TypeError {}

/** Not by `instanceof`: anything may be thrown, such as a proxy on which that throws. */
export const isWrongRequest = (error: unknown): boolean => fieldOf(error, 'constructor') === WrongRequest;

/** A text would be read letter by letter, and a header that was sent twice not be noticed. */
function headerOf(request: GuardRequest, name: string): readonly string[] {
  const values = request.header(name);
  const isList: boolean = Array.isArray(values);
  if (!isList) throw new WrongRequest(`header() must return an array of strings, got ${shown(values)}`);
  return values;
}

/** `undefined` for a header that was sent twice, even if one of the two is empty: frameworks differ in which they keep. */
function candidates(request: GuardRequest, source: KeySource): readonly string[] | undefined {
  if (source === 'bearer') {
    const values = headerOf(request, 'authorization');
    // By their places: to take an array apart in a pattern makes an iterator.
    const value = values[0] ?? '';
    if (values.length === 1 && isBearer(value)) return [value.slice(BEARER_LENGTH).trimStart()];
    // Other schemes are not ours, however often they come.
    return values.some(hasBearer) ? undefined : [];
  }
  if (source.header !== undefined) {
    const values = headerOf(request, source.header.toLowerCase());
    return values.length > 1 ? undefined : values;
  }
  if (source.query !== undefined) return fromQuery(request.url, source.query);
  if (source.cookie !== undefined) return fromCookies(headerOf(request, 'cookie'), source.cookie);
  return subprotocols(headerOf(request, 'sec-websocket-protocol'))
    .filter((name) => name.startsWith(source.subprotocol))
    .map((name) => name.slice(source.subprotocol.length));
}

/** Reads the one key that a request carries. An empty value is none. */
export function readKey(request: GuardRequest, sources: readonly KeySource[] = DEFAULT_SOURCES): KeyFound {
  let key: string | null = null;
  for (const source of sources) {
    const values = candidates(request, source);
    if (values === undefined) return { ambiguous: true };
    for (const value of values) {
      if (value === '') continue;
      if (key !== null || maybeSeveral(value)) return { ambiguous: true };
      key = value;
    }
  }
  return { key };
}
