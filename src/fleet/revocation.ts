import type { Clock } from '../core/clock.js';
import { check, fieldOf, isObject, isText, loose, optional, parse } from '../core/schema.js';
import { lazy } from '../core/lazy.js';
import type { OneOf } from '../core/one-of.js';
import { FINGERPRINT, SELECTORS } from '../core/selector.js';
import { isPosition } from './position.js';
import type { FleetSupport } from './support.js';

/** Which verdicts a revocation is about: exactly one of these. `fingerprint` is a SHA-256 as 64 hexadecimal digits. */
export type RevocationSelector = OneOf<{
  readonly fingerprint: string;
  readonly keyId: string;
  readonly client: string;
  readonly tenant: string;
  readonly all: true;
}>;

/**
 * What happened to keys. `revoked`: they are denied until the key server has been asked again. `changed`: they are asked
 * about again, and keep their verdict while the key server is down.
 */
export interface Revocation {
  readonly type: 'revoked' | 'changed';
  readonly select: RevocationSelector;
  /** Only services with this scope take notice. Default: all. */
  readonly scope?: string | undefined;
  /** When it happened, in epoch milliseconds. Default: unknown. */
  readonly at?: number | undefined;
}

/** `heartbeat`: the stream works. `reset`: events may have been lost. */
interface StreamSignal {
  readonly type: 'heartbeat' | 'reset';
}

export type RevocationMessage = Revocation | StreamSignal;

/** A message, and its position in the stream. */
export interface PositionedMessage {
  /**
   * Two or three whole numbers with hyphens between. The first one is the generation of the stream; the others rise with
   * each message. A stream that can't continue from its last position starts a new generation, which counts as a gap.
   */
  readonly position: string;
  /** The JSON of a message. One that can't be read counts as a gap. */
  readonly json: string;
}

/** What a source reports to. */
export interface RevocationSink {
  /** Reports messages in order, each at least once. */
  deliver(messages: readonly PositionedMessage[]): void;
  /** Reports that messages may have been lost before the next one. */
  gap(): void;
  /**
   * Reports that all messages up to now, up to this position, have been delivered. Call it at least every `heartbeatMs`.
   * Default: the position of the last message. Where all retained messages are delivered, `since` is the position after which
   * none is missing: a verdict of a process that stood before it is used only in an outage. Default: the first position that
   * is reported.
   */
  caughtUp(position?: string, since?: string): void;
}

/** What a source gets to follow its stream. */
export interface FollowContext {
  /** Where to report messages and gaps. */
  readonly sink: RevocationSink;
  /** The last reported position; `undefined` at first and after a gap: deliver all retained messages. */
  readonly from: string | undefined;
  /** How far back events matter, in milliseconds. */
  readonly retainMs: number;
  /** Aborts when the source has to stop. */
  readonly signal: AbortSignal;
  /** The verifier's `verifyUrl`. */
  readonly verifyUrl: string;
  /** Fetches the verifier's service token. Pass a token that was refused to get a new one, if the verifier has a function. */
  readonly token: (refused?: string) => Promise<string>;
  /** The verifier's clock. */
  readonly clock: Clock;
}

/** Where revocations come from, such as `redisRevocations()` or `sseRevocations()`. */
export interface RevocationSource {
  /** The code that uses it: `fleet` from `keyverify/fleet`. */
  readonly fleet: FleetSupport;
  /** A name of the stream that is the same in every process. */
  readonly name: string;
  /** How often a working stream calls `caughtUp()`, in milliseconds. After three times that long it counts as down. */
  readonly heartbeatMs: number;
  /** Follows the stream until the signal aborts. If it can't go on, it rejects or resolves, and is called again later. */
  follow(context: FollowContext): Promise<void>;
  /** Publishes to every process that follows the stream. Without it, `revoke()` can't use this source. */
  publish?(revocation: Revocation): Promise<void>;
}

/** The longest name that may be selected, in characters: processes remember thousands of them. */
const MAX_SELECTED = 512;

const isSelector = (value: unknown): value is RevocationSelector => {
  const [[name, selected] = [], ...others] = isObject(value) ? Object.entries(value) : [];
  if (name === undefined || others.length > 0) return false;
  if (name === 'all') return selected === true;
  if (name === 'key' || !SELECTORS.includes(name) || !isText(selected) || selected.length > MAX_SELECTED) return false;
  return name !== 'fingerprint' || FINGERPRINT.test(selected);
};

const revocation = lazy(() =>
  loose({
    v: check((v): v is 1 => v === 1),
    type: check((type): type is 'revoked' | 'changed' => type === 'revoked' || type === 'changed'),
    select: check(isSelector),
    scope: optional(check(isText)),
    at: optional(check((at): at is number => typeof at === 'number')),
  }),
);
const signal = lazy(() =>
  loose({
    v: check((v): v is 1 => v === 1),
    type: check((type): type is 'heartbeat' | 'reset' => type === 'heartbeat' || type === 'reset'),
  }),
);

/** The longest event, in characters. */
export const MAX_EVENT = 4096;

/** What a message may quote of an event. */
const NAME = /^[\w:.-]{1,64}$/;

/** Reads a message; text says what is wrong with it, by the names of its fields, never by what they hold. */
function readMessage(json: string): RevocationMessage | string {
  if (json === '') return 'it is empty, or not signed as signingSecret asks for';
  if (json.length > MAX_EVENT) return `it is longer than ${MAX_EVENT} characters`;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return 'it is not JSON';
  }
  const read = parse(signal(), value);
  if (read.success) return { type: read.data.type };
  const event = parse(revocation(), value);
  if (event.success) {
    const { type, select, scope, at } = event.data;
    return { type, select, scope, at };
  }
  const wrong = event.error.issues.flatMap(({ path: [field] }) => namesIn(field, value));
  return wrong.length === 0 ? 'it is not an object' : `wrong or missing: ${wrong.join(', ')}`;
}

/** Reads a message; `undefined` for one that can't be understood. */
export function parseMessage(json: string): RevocationMessage | undefined {
  const read = readMessage(json);
  return typeof read === 'string' ? undefined : read;
}

/** Reads a message where it stands; text says which one is wrong, and why. */
export function readDelivered({ position, json }: PositionedMessage): RevocationMessage | string {
  const id = NAME.test(position) ? `id ${position}` : 'its id';
  if (!isPosition(position)) return `${id}: expected two or three whole numbers with hyphens between, such as 1-0`;
  const read = readMessage(json);
  return typeof read === 'string' ? `${id}: ${read}` : read;
}

function namesIn(field: PropertyKey | undefined, event: unknown): string[] {
  if (field === undefined) return [];
  const selector = field === 'select' ? fieldOf(event, field) : undefined;
  const names = isObject(selector) ? Object.keys(selector).filter((name) => NAME.test(name)) : [];
  return names.length === 0 ? [String(field)] : names.map((name) => `select.${name}`);
}

export const isRevocation = (message: RevocationMessage): message is Revocation => 'select' in message;

/** A message as it is published. */
export const toJson = (message: RevocationMessage): string => JSON.stringify({ v: 1, ...message });
