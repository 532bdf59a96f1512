/** Where a key may stand in a request. */
export type KeySource =
  /** `Authorization: Bearer <key>`, the scheme in any case. */
  | 'bearer'
  /** The whole value of a header. */
  | { readonly header: string }
  /** A parameter of the query. It ends up in access logs: for clients that can't send headers. */
  | { readonly query: string }
  | { readonly cookie: string }
  /** A WebSocket subprotocol that begins so, for browsers, which can't send headers: `new WebSocket(url, ['v1', 'key.sk-1'])` with `{ subprotocol: 'key.' }`. */
  | { readonly subprotocol: string };

/** What a key is read from. */
export interface KeyCarrier {
  /** Every value of a header, one for each time it was sent. The name is in lower case. */
  readonly header: (name: string) => readonly string[];
  /** Path and query. */
  readonly url: string;
}

/** Where a key is looked for by default. */
const DEFAULT_SOURCES: readonly KeySource[] = ['bearer', { header: 'x-api-key' }];

/** A key found, none found, or more than one candidate (or one that can't be told from several): never guessed. */
export type KeyFound = { readonly key: string | null } | { readonly ambiguous: true };

/** Held against no more than this: the engine keeps the last text that matched, as RegExp.input. */
const BEARER = /^bearer[ \t]/i;
const BEARER_LENGTH = 'bearer'.length;

/** A comma joins headers that were sent twice, and white space is in no key. */
const SEVERAL = /[\s,]/;

function fromCookies(lines: readonly string[], name: string): string[] {
  return lines
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => unquoted(pair.slice(name.length + 1)));
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

function fromQuery(url: string, name: string): string[] {
  const start = url.indexOf('?');
  return start < 0 ? [] : new URLSearchParams(url.slice(start)).getAll(name);
}

/** The subprotocols that a client offers. */
export function subprotocols(lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(',')).map((name) => name.trim());
}

function candidates(carrier: KeyCarrier, source: KeySource): readonly string[] {
  if (source === 'bearer') {
    const keys: string[] = [];
    for (const value of carrier.header('authorization'))
      if (BEARER.test(value.slice(0, BEARER_LENGTH + 1))) keys.push(value.slice(BEARER_LENGTH).trimStart());
    return keys;
  }
  if ('header' in source) return carrier.header(source.header.toLowerCase());
  if ('query' in source) return fromQuery(carrier.url, source.query);
  if ('cookie' in source) return fromCookies(carrier.header('cookie'), source.cookie);
  return subprotocols(carrier.header('sec-websocket-protocol'))
    .filter((name) => name.startsWith(source.subprotocol))
    .map((name) => name.slice(source.subprotocol.length));
}

/** Reads the one key that a request carries. An empty value is none. */
export function readKey(carrier: KeyCarrier, sources: readonly KeySource[] = DEFAULT_SOURCES): KeyFound {
  let key: string | null = null;
  for (const source of sources)
    for (const value of candidates(carrier, source)) {
      if (value === '') continue;
      if (key !== null || SEVERAL.test(value)) return { ambiguous: true };
      key = value;
    }
  return { key };
}
