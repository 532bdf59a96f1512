import { meant, sentence } from '../core/messages.js';
import { fieldOf, isObject, isText } from '../core/schema.js';
import { isPlainObject } from './pick.js';

export const isAccepted = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 200 && Number(value) < 300;

const TEXTS = [isText, 'a string that is not empty'] as const;

/** What the elements of an option, or its fields, have to be. */
const ELEMENTS = new Map<string, readonly [is: (value: unknown) => boolean, expected: string]>([
  ['accepts', [isAccepted, 'a status from 200 to 299']],
  ['verdict.faults', TEXTS],
  ['verdict.reasons', TEXTS],
  ['tags', TEXTS],
  ['tokenTypes', TEXTS],
  ['ratelimits', [isPlainObject, 'an object']],
]);

/** Says it of each wrong element instead, or suggests one of the words that are expected. */
export function explain(issue: string, options: unknown): readonly string[] {
  const place = issue.slice(0, issue.indexOf(': '));
  const value = place.split('.').reduce(fieldOf, options);
  const [is, expected = ''] = ELEMENTS.get(place) ?? [];
  const elements =
    is !== undefined && (Array.isArray(value) || isPlainObject(value)) ? Object.entries<unknown>(value) : [];
  const wrong = elements.flatMap(([at, element]) =>
    is?.(element) === false ? sentence(`${place}.${at}`, expected, element) : [],
  );
  if (wrong.length > 0) return wrong;
  return [issue + (place.endsWith('.unit') ? unitSuggestion(value) : suggestion(issue, value))];
}

/** Other words for a unit of time. One that is only like it may be wrong by a factor of 1000. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/^s(?:ec(?:ond)?s?)?$/i, 's'],
  [/^m(?:illi)?s(?:ec(?:ond)?s?)?$/i, 'ms'],
  [/^(?:iso|iso[-_]?8601|rfc[-_]?3339)$/i, 'iso'],
  [/^iso[-_]?or[-_]?s(?:econds)?$/i, 'iso-or-s'],
];

function unitSuggestion(value: unknown): string {
  const [, unit] = UNITS.find(([words]) => typeof value === 'string' && words.test(value)) ?? [];
  return unit === undefined ? '' : `, did you mean ${unit}?`;
}

/** The words are those in quotes or braces. What was written may be a secret, and is not quoted. */
function suggestion(issue: string, value: unknown): string {
  const [expected = ''] = issue.split(', got ');
  const words: readonly string[] = expected.match(/\w+(?=\??[',]| \})/g) ?? [];
  const unknown = Object.keys(isObject(value) ? value : {}).find((name) => !words.includes(name));
  return /['{]/.test(expected) ? meant(typeof value === 'string' ? value : (unknown ?? '-'), words) : '';
}
