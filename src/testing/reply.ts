import type { Rejected } from '../core/result.js';
import type { ProtocolDefinition, VerdictDefinition } from '../protocols/definition.js';
import { isRecord, stepsOf } from '../protocols/pick.js';
import type { IssuedKey } from './book.js';

/** What the key server answers about a key: the record of a valid one, or why it is rejected. */
export type KeyAnswer = IssuedKey | Rejected['reason'];

/** A response in the making. */
export interface DraftReply {
  readonly status: number;
  readonly json: unknown;
}

/**
 * Writes the response about a key. `draft` is what the paths of the protocol make of the answer; what functions pick is
 * missing in it.
 */
export type Respond = (answer: KeyAnswer, draft: DraftReply) => DraftReply;

/** What the paths of a definition make of an answer. */
export function draftReply({ verdict, accepts, rejects = [] }: ProtocolDefinition, answer: KeyAnswer): DraftReply {
  const [status = 200] = accepts ?? [];
  if (typeof verdict === 'function') return { status, json: {} };
  if (typeof answer !== 'string') return { status, json: goodJson(verdict, answer) };
  const bare = rejects.find(({ when }) => when === undefined);
  return { status: verdict.identity === '.' ? (bare?.status ?? status) : status, json: badJson(verdict, answer) };
}

function goodJson(verdict: VerdictDefinition, key: IssuedKey): object {
  const { flag, identity, client, tenant, keyId, expires, claims = '.' } = verdict;
  return write([
    [claims, key.claims],
    [identity, {}],
    [keyId, key.keyId],
    [expires?.at, key.expiresAt === undefined ? undefined : timeIn(expires?.unit, key.expiresAt)],
    [tenant, key.tenant],
    [client, key.client],
    [flag, true],
  ]);
}

function badJson({ flag, identity, reason, reasons = {} }: VerdictDefinition, why: string): object {
  const [name = why] = Object.entries(reasons).find(([, ours]) => ours === why) ?? [];
  return write([
    [identity === '.' ? undefined : identity, null],
    [reason, name],
    [flag, false],
  ]);
}

/** Values at their places; what is undefined, or picked by a function, is left out. */
function write(places: readonly (readonly [unknown, unknown])[]): object {
  return places.reduce<object>(
    (tree, [place, value]) =>
      typeof place === 'string' && value !== undefined ? withValue(tree, stepsOf(place), value) : tree,
    {},
  );
}

function withValue(tree: object, [name, ...rest]: readonly string[], value: unknown): object {
  if (name === undefined) return isRecord(value) ? { ...tree, ...value } : tree;
  const there: unknown = Reflect.get(tree, name);
  const inner = isRecord(there) ? there : {};
  const isMerged = rest.length > 0 || isRecord(value);
  return { ...tree, [name]: isMerged ? withValue(inner, rest, value) : value };
}

function timeIn(unit: string | undefined, ms: number): string | number {
  if (unit === 'ms') return ms;
  return unit === 's' ? ms / 1000 : new Date(ms).toISOString();
}
