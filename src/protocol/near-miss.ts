import { aType } from '../core/messages.js';
import { isObject } from '../core/schema.js';

/** Without case and separators, `client_id` and `clientId` are one. */
export const plain = (name: string): string => name.toLowerCase().replace(/[_-]/g, '');

/** What a message may quote. */
const NAME = /^[\w-]{3,40}$/;
const MOST_NAMES = 3;

/**
 * Whether a field that may be left out is there under another spelling. A key without its expiry would not expire, so that
 * is no verdict.
 */
export function isMisspelt(name: string, json: unknown): boolean {
  if (!isObject(json) || (Reflect.get(json, name) ?? null) !== null) return false;
  return Object.keys(json).some(
    (field) => beginsLike(field, name) && plain(field) === plain(name) && (Reflect.get(json, field) ?? null) !== null,
  );
}

const LOWER_CASE = 32;
const SEPARATOR = /^[_-]/;

/** Whether both begin with the same letter, or one with a separator. It makes no text: this is asked of each field of a verdict. */
const beginsLike = (field: string, name: string): boolean =>
  SEPARATOR.test(field) ||
  SEPARATOR.test(name) ||
  (field.charCodeAt(0) | LOWER_CASE) === (name.charCodeAt(0) | LOWER_CASE);

/** Names the fields that were probably meant, where some are like it: to be said, never to be used in its place. */
export function nearMiss(name: string, json: unknown): string {
  if (!isObject(json) || Array.isArray(json)) return '';
  const wanted = plain(name);
  const isNear = (field: string): boolean => plain(field).includes(wanted) || wanted.includes(plain(field));
  const near = Object.keys(json).filter((field) => field !== name && isNear(field) && NAME.test(field));
  return near.length === 0 ? '' : ` (there is ${near.slice(0, MOST_NAMES).join(', ')})`;
}

/** What stands where something else is expected; empty if nothing does. */
export function notText(value: unknown, expected = 'a string'): string {
  if (value === undefined || value === null) return '';
  return `: expected ${expected}, got ${value === '' ? 'an empty string' : aType(value)}`;
}

export const notFlag = (value: unknown): string => notText(value, 'true or false');
