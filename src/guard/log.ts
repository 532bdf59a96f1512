import { systemClock } from '../core/clock.js';
import { callSafely } from '../core/events.js';
import { meant, shown } from '../core/messages.js';
import { redact, redactError } from '../core/redact.js';
import { fieldOf, isFunction, isObject, isString } from '../core/schema.js';
import { Throttle } from '../core/throttle.js';
import { WARN } from '../core/verifier.js';
import type { DenialOverrides } from './denial.js';
import { isWrongRequest, type KeyFound } from './key-sources.js';
import { isNoVerifier } from './options.js';
import type { GuardRequest } from './request.js';
import type { AnyVerifier } from './verifier.js';

/** What may throw while a guard decides. */
const PARTS = {
  request: 'the request could not be read',
  route: 'the options of this route are wrong',
  source: 'the function that creates the verifier threw',
  verify: 'verify() threw, or gave no result',
  authorize: 'authorize() threw',
  onDenied: 'onDenied() threw, or returned what cannot be sent',
} as const;

/** The part of a guard that is at work. */
export type Part = keyof typeof PARTS;

/** The parts that may be a route's own. */
const OF_ROUTE: ReadonlySet<Part> = new Set(['route', 'authorize', 'onDenied']);

/** A line of the log is written once a minute for each. */
type Kind = Part | 'returned' | 'authorized';

const MOST_PATH = 200;

const secretsOf = (found: KeyFound): readonly string[] => ('key' in found ? [found.key ?? ''] : []);

/** Where a request goes, without the query, which may hold a key; nothing where keys may be in it that we don't know. */
function placeOf(request: GuardRequest, found: KeyFound): string {
  const url = fieldOf(request, 'url');
  if (!('key' in found) || !isString(url)) return '';
  const path = url.replace(/[?#].*/s, '').replaceAll(/[^!-~]/g, '');
  // Before it is cut: a part of a key would not be recognized.
  return path === '' ? '' : ` (${redact(path, secretsOf(found)).slice(0, MOST_PATH)})`;
}

const withoutHeader = (request: GuardRequest): string =>
  !isFunction(fieldOf(request, 'header')) ? ': expected a request with header()' : '';

const FIELDS = ['status', 'headers', 'body'];

/** What the name of an error has to look like to be shown where its message isn't. */
const ERROR_NAME = /^[A-Za-z]{0,40}Error$/;

/** Tells on the verifier's log why a guard answers 500: the caller must not see it, and each request may be another one. */
export class GuardLog {
  readonly #throttle = new Throttle<Kind>();
  /** The verifier, once it is known. */
  verifier: Pick<AnyVerifier, typeof WARN> | undefined;

  /** Something threw. Its message is left out where it may quote a key that we don't know. */
  threw(part: Part, error: unknown, found: KeyFound, request: GuardRequest): void {
    const { name, message } = redactError(error, secretsOf(found));
    const isQuoted = 'key' in found || isWrongRequest(error);
    const what = isQuoted ? `${name}: ${message}` : (ERROR_NAME.test(name) ? name : 'Error') + withoutHeader(request);
    const at = OF_ROUTE.has(part) ? placeOf(request, found) : '';
    const why = isNoVerifier(error) ? message : `${PARTS[part]}${at}: ${what}`;
    // One route must not hide another.
    this.#warn(part, `a guard answers 500, since ${why}`, part === 'route' ? message : '');
  }

  /** What `onDenied()` returned, without what has no effect, which is named. */
  overridesOf(returned: unknown, found: KeyFound, request: GuardRequest): DenialOverrides | undefined {
    const tell = (what: string): void =>
      this.#warn('returned', `onDenied() returned ${what}${placeOf(request, found)}`, what);
    // By its method: a polyfill has a class of its own.
    const isResponse = isFunction(fieldOf(returned, 'arrayBuffer'));
    if (isResponse || isString(returned))
      tell(`${isResponse ? 'a Response' : shown(returned)}, which has no effect: return { status, headers, body }`);
    if (!isObject(returned) || isResponse) return undefined;
    const unknown = Object.keys(returned).find((name) => !FIELDS.includes(name));
    if (unknown !== undefined) tell(`a field that has no effect: ${unknown}${meant(unknown, FIELDS)}`);
    const overrides: DenialOverrides = returned;
    const { headers, ...rest } = overrides;
    // Of `Headers` and of a `Map`, no entry would be found.
    if (!isObject(headers) || !(Symbol.iterator in headers)) return overrides;
    tell('headers that have no effect: write them as an object, { name: value }');
    return rest;
  }

  /** Names what `authorize()` returned if it is no boolean: the caller may be denied by mistake. */
  checkAuthorized(authorized: unknown, found: KeyFound, request: GuardRequest): void {
    if (typeof authorized === 'boolean') return;
    this.#warn(
      'authorized',
      `a guard answers 403, since authorize() returned ${shown(authorized)}, expected true or false${placeOf(request, found)}`,
    );
  }

  #warn(kind: Kind, text: string, distinct = ''): void {
    const held = this.#throttle.pass(kind, systemClock.monotonic(), distinct);
    if (held === undefined) return;
    const more = held > 0 ? ` (${held} more since the last line like this)` : '';
    const line = `keyverify: ${text.replaceAll(/\s+/g, ' ')}${more}`;
    const { verifier } = this;
    callSafely((line) => (verifier?.[WARN] === undefined ? console.warn(line) : verifier[WARN](line)), line);
  }
}
