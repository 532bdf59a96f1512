import { checkOptions, notOptions } from '../core/check-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { lazy } from '../core/lazy.js';
import { meant, shown } from '../core/messages.js';
import { check, fieldOf, isObject, isString, isText, number, optional, type Shape } from '../core/schema.js';
import { ms, status, text } from './validate.js';

const shapes = lazy((): Readonly<Record<string, Shape>> => ({
  hang: {},
  delay: { ms: ms() },
  'reset-before-headers': {},
  'reset-after-headers': {},
  'close-mid-body': {},
  drip: { intervalMs: optional(ms()) },
  status: {
    status: status(),
    retryAfter: optional(
      check(
        (value): value is string | number => isText(value) || typeof value === 'number',
        'a number of seconds, or an HTTP date',
      ),
    ),
  },
  redirect: { location: text(), status: optional(status()) },
  html: {},
  'truncated-json': {},
  'wrong-shape': {},
  'huge-body': { bytes: optional(number((value) => value >= 0, 'a number of bytes')) },
  'wrong-content-type': {},
  raw: {
    status: status(),
    headers: optional(check(isObject, 'an object')),
    body: optional(
      check(
        (value): value is string | Uint8Array => isString(value) || value instanceof Uint8Array,
        'a string, or a Uint8Array',
      ),
    ),
  },
}));

/** The faults that lead to these failures, whose names are taken for those of faults. */
const OF_FAILURES = new Map([
  ['timeout', 'hang'],
  ['unreachable', 'reset-before-headers'],
  ['server_error', 'status'],
  ['rate_limited', 'status'],
  ['invalid_response', 'wrong-shape'],
]);

/** A fault that would be none is a test that tests nothing. */
export function checkFault(fault: unknown): void {
  const kinds = Object.keys(shapes());
  const none = notOptions(fault, 'fault');
  if (none !== undefined)
    throw new InvalidOptionsError([
      isString(fault) && kinds.includes(fault) ? `${none}: write { kind: '${fault}' }` : none,
    ]);
  const kind = fieldOf(fault, 'kind');
  const shape = isString(kind) && kinds.includes(kind) ? shapes()[kind] : undefined;
  if (shape !== undefined) {
    checkOptions({ ...shape, kind: text() }, fault);
    return;
  }
  throw new InvalidOptionsError([`kind: expected one of ${kinds.join(', ')}, got ${shown(kind)}${hint(kind, kinds)}`]);
}

function hint(kind: unknown, kinds: readonly string[]): string {
  if (!isString(kind)) return '';
  const fault = OF_FAILURES.get(kind);
  return fault === undefined ? meant(kind, kinds) : `, did you mean ${fault}?`;
}

const times = lazy((): Shape => ({
  times: optional(
    check(
      (value): value is number => value === Infinity || (Number.isInteger(value) && Number(value) > 0),
      'a number of requests, 1 or more',
    ),
  ),
}));

export const checkTimes = (options: unknown): unknown => checkOptions(times(), options);
