import { systemClock } from '../core/clock.js';
import { callSafely } from '../core/events.js';
import { meant } from '../core/messages.js';
import { redact, redactError } from '../core/redact.js';
import { fieldOf, isObject } from '../core/schema.js';
import { Throttle } from '../core/throttle.js';
import { WARN } from '../core/verifier.js';
import type { KeyFound } from './key-sources.js';
import type { GuardRequest } from './request.js';
import type { AnyVerifier } from './verifier.js';

/** What may throw while a guard decides. */
const PARTS = {
  request: 'the request could not be read',
  route: 'the options of this route are wrong',
  source: 'the function that was passed for the verifier threw',
  verify: 'verify() threw, or gave no result',
  authorize: 'authorize() threw',
  onDenied: 'onDenied() threw, or returned what cannot be sent',
} as const;

/** The part of a guard that is at work. */
export type Part = keyof typeof PARTS;

const MOST_PATH = 200;

/** Where a request goes, without the query, which may hold a key. */
const pathOf = (request: GuardRequest | undefined): string =>
  String(fieldOf(request, 'url'))
    .replace(/[?#].*$/s, '')
    .replaceAll(/[^!-~]/g, '')
    .slice(0, MOST_PATH);

const FIELDS = ['status', 'headers', 'body'];

/** Tells on the verifier's log why a guard answers 500: the caller must not see it, and each request may be another one. */
export class GuardLog {
  readonly #throttle = new Throttle<Part | 'fields'>();
  /** The verifier, once it is known. */
  verifier: Pick<AnyVerifier, typeof WARN> | undefined;

  /** Something threw. Its message is left out where it may quote a key that we don't know. */
  threw(part: Part, error: unknown, found: KeyFound, request?: GuardRequest): void {
    const secrets = 'key' in found ? [found.key ?? ''] : [];
    const { name, message } = redactError(error, secrets);
    const what = 'key' in found ? `${name}: ${message}` : name;
    // One route must not hide another: which is meant, no option of it says.
    const at = part === 'route' && 'key' in found ? ` (${redact(pathOf(request), secrets)})` : '';
    this.#warn(part, `a guard answers 500, since ${PARTS[part]}${at}: ${what}`, part === 'route' ? message : '');
  }

  /** Names what `onDenied()` returned to no effect. */
  checkFields(overrides: unknown): void {
    const [unknown] = isObject(overrides) ? Object.keys(overrides).filter((name) => !FIELDS.includes(name)) : [];
    if (unknown === undefined) return;
    this.#warn('fields', `onDenied() returned a field that has no effect: ${unknown}${meant(unknown, FIELDS)}`);
  }

  #warn(kind: Part | 'fields', text: string, distinct = ''): void {
    const held = this.#throttle.pass(kind, systemClock.monotonic(), distinct);
    if (held === undefined) return;
    const more = held > 0 ? ` (${held} more since the last line like this)` : '';
    const line = `keyverify: ${text.replaceAll(/\s+/g, ' ')}${more}`;
    const { verifier } = this;
    callSafely((line) => (verifier?.[WARN] === undefined ? console.warn(line) : verifier[WARN](line)), line);
  }
}
