import { isHeaderName } from '../core/header.js';
import { meant, shown } from '../core/messages.js';
import { isObject, isString, isText } from '../core/schema.js';

const KINDS: readonly string[] = ['header', 'query', 'cookie', 'subprotocol'];

/** What each key source has to be. */
export const KEY_SOURCE = "'bearer', { header }, { query }, { cookie } or { subprotocol }";

/** One sentence for each mistake in an array of key sources. */
export function keySourceIssues(sources: readonly unknown[]): string[] {
  const places: string[] = [];
  return sources.flatMap((source, at) => {
    const read = readSource(source);
    places.push('place' in read ? read.place : '');
    if ('issue' in read) return [`keySources.${at}${read.issue}`];
    // The same key would be found twice, and a request with two keys is refused.
    const first = places.findIndex((place) => isSame(place, read.place));
    return first < at ? [`keySources.${at}: the same place as keySources.${first}`] : [];
  });
}

const isSame = (one: string, other: string): boolean =>
  one === other || (one.startsWith('subprotocol:') && (one.startsWith(other) || other.startsWith(one)));

function readSource(source: unknown): { readonly place: string } | { readonly issue: string } {
  if (source === 'bearer') return { place: 'header:authorization' };
  const entries = isObject(source) && !Array.isArray(source) ? Object.entries<unknown>({ ...source }) : [];
  const [[kind, name] = []] = entries;
  if (kind === undefined || !KINDS.includes(kind) || entries.length > 1) {
    const got = kind === undefined ? shown(source) : `{ ${entries.map(([field]) => field).join(', ')} }`;
    return { issue: `: expected ${KEY_SOURCE}, got ${got}${suggestion(source, kind)}` };
  }
  if (!isText(name)) return { issue: `.${kind}: expected a name, got ${shown(name)}` };
  if (kind !== 'header') return { place: `${kind}:${name}` };
  if (!isHeaderName(name)) return { issue: `.${kind}: expected the name of a header, got ${shown(name)}` };
  return { place: `header:${name.toLowerCase()}` };
}

/** What may be quoted: no key begins like this. */
const X_HEADER = /^x-[a-z-]{1,20}$/i;

function suggestion(source: unknown, kind: string | undefined): string {
  if (!isString(source)) return kind === undefined || KINDS.includes(kind) ? '' : meant(kind, KINDS);
  if (X_HEADER.test(source)) return `, did you mean { header: '${source}' }?`;
  if (source.toLowerCase() === 'authorization') return ", did you mean 'bearer'?";
  return KINDS.includes(source) ? '' : meant(source, ['bearer']);
}
