import type { Clock } from '../core/clock.js';
import type { SharedEvent, SharedOutcome } from '../core/events.js';
import { toHex } from '../core/fingerprint.js';
import { redactError } from '../core/redact.js';
import { fieldOf } from '../core/schema.js';
import type { Verdict } from '../core/verdict.js';
import { Breaker } from '../resilience/breaker.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { parseRecord, toRecord, type SharedVerdict } from './record.js';
import type { Positions } from './position.js';
import type { SharedCache, SharedEntry, SharedGet, SharedKey, SharedRead } from './shared-cache.js';

export interface SharedVerdictsOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How long an operation may take, in milliseconds. */
  readonly sharedTimeoutMs: number;
  readonly namespace: string;
  /** Called around each operation that is run. */
  readonly around: <Done extends SharedOutcome>(
    event: SharedEvent,
    run: () => Promise<Done>,
    toOutcome: (done: Done) => SharedOutcome,
  ) => Promise<Done>;
  readonly onOutcome: (event: SharedEvent, outcome: SharedOutcome) => void;
}

interface Operation<T> {
  readonly operation: SharedEvent['operation'];
  readonly work: () => Promise<unknown>;
  /** What it resolves to is checked like everything from outside. */
  readonly read: (done: unknown) => T;
  readonly outcomeOf: (done: T) => 'hit' | 'miss' | 'unsealable';
  readonly budgetMs?: number;
  readonly key: SharedKey;
  /** What is put. */
  readonly value?: string;
}

/** An operation that was run; its value, unless it failed. */
interface OperationResult<T> extends SharedOutcome {
  readonly value: T | undefined;
}

/** What is in the shared cache. */
export interface StoredVerdict {
  /** The time of the store when it was read, in epoch milliseconds. */
  readonly now: number;
  /** Whether that is an estimate, which is no fence. */
  readonly isEstimate: boolean;
  readonly verdict: SharedVerdict | undefined;
  /** When the store was asked, on the monotonic clock: not later than the moment for which it told the age. */
  readonly readAt: number;
  /** How old it is by the clock of the store, in milliseconds. */
  readonly ageMs: number;
}

const BREAKER = { failureThreshold: 5, openMs: 1_000, maxOpenMs: 5_000 };

/** Larger verdicts are not shared, in characters. */
const MAX_VALUE = 16 * 1024;

/** An entry from further in the future is refused, in milliseconds: its age is unknown. */
const MAX_AHEAD_MS = 5_000;

/** No key has it as its fingerprint. */
const PROBED = '\0'.repeat(32);

/** The shared cache, made safe to ask: each operation has a deadline, and a breaker keeps a dead store out of the way. */
export class SharedVerdicts {
  readonly #cache: SharedCache;
  readonly #options: SharedVerdictsOptions;
  readonly #breaker: Breaker<true>;
  #workedAt = -Infinity;

  constructor(cache: SharedCache, options: SharedVerdictsOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#breaker = new Breaker(BREAKER, options.random, () => undefined);
  }

  /** Whether the store is bypassed, since it failed several times in a row. */
  get isDown(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** Whether it is not worth a look: the breaker is open, and nobody has to find out yet whether the store is back. */
  get isBypassed(): boolean {
    const { state, probeAt } = this.#breaker;
    return state === 'half-open' || (state === 'open' && this.#options.clock.monotonic() < probeAt);
  }

  /** Whether the store has done something within the last `ms` milliseconds. */
  workedWithin(ms: number): boolean {
    return this.#options.clock.monotonic() - this.#workedAt < ms;
  }

  /** What is known of a key; `undefined` if the store can't say, within `budgetMs` at the most. */
  async read(
    fingerprint: string,
    secrets: readonly string[],
    budgetMs: number,
    options?: SharedGet,
  ): Promise<StoredVerdict | undefined> {
    const readAt = this.#options.clock.monotonic();
    const read = (await this.#get('get', fingerprint, budgetMs, options))?.value;
    if (read === undefined) return undefined;
    const { now, entry, isEstimate = false } = read;
    const verdict = entry && this.#parse(entry, now, secrets);
    return { now, isEstimate, verdict, readAt, ageMs: now - (entry?.fence ?? now) };
  }

  /** Reads what isn't there, to find out whether a store that failed works again. */
  async probe(): Promise<void> {
    await this.#get('probe', PROBED, Infinity);
  }

  /** Shares a verdict that was asked for after the store had been read at `fence`. */
  async write(
    fingerprint: string,
    verdict: Verdict<unknown>,
    { fence, positions, keepMs }: { readonly fence: number; readonly positions: Positions; readonly keepMs: number },
  ): Promise<void> {
    const value = toRecord(verdict, positions);
    if (value === undefined || value.length > MAX_VALUE || keepMs <= 0) return;
    const options = { fence, replacesEqual: !verdict.result.valid, ttlMs: Math.ceil(keepMs) };
    const key = this.#keyOf(fingerprint);
    const work = () => this.#cache.put(key, value, options);
    await this.#run({ operation: 'put', key, value, work, ...DONE });
  }

  /** Whether this process is to ask about the key; `true` as well if the store can't say. */
  async lease(fingerprint: string, ms: number): Promise<boolean> {
    const key = this.#keyOf(fingerprint);
    const work = () => this.#cache.lease(key, ms);
    const attempt = await this.#run({ operation: 'lease', key, work, ...DONE });
    return attempt?.value ?? true;
  }

  #get(
    operation: 'get' | 'probe',
    fingerprint: string,
    budgetMs: number,
    options?: SharedGet,
  ): Promise<OperationResult<SharedRead>> | undefined {
    const key = this.#keyOf(fingerprint);
    const work = () => this.#cache.get(key, options);
    return this.#run({ operation, key, work, read: toRead, outcomeOf: outcomeOfRead, budgetMs });
  }

  #keyOf(fingerprint: string): SharedKey {
    return { fingerprint: toHex(fingerprint), namespace: this.#options.namespace };
  }

  #parse({ value, fence }: SharedEntry, now: number, secrets: readonly string[]): SharedVerdict | undefined {
    const verdict = parseRecord(value, secrets);
    const latest = this.#options.clock.wall() + MAX_AHEAD_MS;
    return verdict !== undefined && verdict.askedAt <= latest && fence <= now + MAX_AHEAD_MS ? verdict : undefined;
  }

  /** Runs an operation within its time, unless the breaker is open; then one is run now and then, and nobody waits for it. */
  #run<T>(operation: Operation<T>): Promise<OperationResult<T>> | undefined {
    if (this.#breaker.state === 'closed') return this.#attempt(operation);
    const isRead = operation.operation === 'get' || operation.operation === 'probe';
    if (isRead && !this.isBypassed) {
      this.#breaker.beginProbe(this.#options.clock.monotonic());
      void this.#attempt({ ...operation, budgetMs: Infinity });
    }
    return undefined;
  }

  #attempt<T>(operation: Operation<T>): Promise<OperationResult<T>> {
    const event = { operation: operation.operation };
    return this.#options.around(event, () => this.#time(operation, event), toOutcome);
  }

  async #time<T>(operation: Operation<T>, event: SharedEvent): Promise<OperationResult<T>> {
    const { clock, sharedTimeoutMs, onOutcome } = this.#options;
    const { work, read, outcomeOf, budgetMs = Infinity, key, value: text = '' } = operation;
    const startedAt = clock.monotonic();
    let value: T | undefined;
    let outcome: SharedOutcome['outcome'];
    let error: Error | undefined;
    try {
      const done = await new Deadline(clock, Math.min(sharedTimeoutMs, budgetMs), startedAt).race(work());
      value = done === TIMED_OUT ? undefined : read(done);
      outcome = value === undefined ? 'timeout' : outcomeOf(value);
    } catch (thrown) {
      outcome = 'error';
      error = redactError(thrown, [...secretsOf(key), text]);
    }
    const mono = clock.monotonic();
    if (value === undefined) this.#breaker.recordFailure(true, mono);
    else {
      this.#breaker.recordSuccess();
      this.#workedAt = mono;
    }
    const attempt = { value, outcome, error, durationMs: mono - startedAt };
    onOutcome(event, attempt);
    return attempt;
  }
}

const toOutcome = ({ outcome, error, durationMs }: SharedOutcome): SharedOutcome => ({ outcome, error, durationMs });

const DONE: Pick<Operation<boolean>, 'read' | 'outcomeOf'> = {
  read: (done) => done !== false,
  outcomeOf: (done) => (done ? 'hit' : 'miss'),
};

const outcomeOfRead = ({ entry, unsealable }: SharedRead) =>
  unsealable === true ? 'unsealable' : entry === undefined ? 'miss' : 'hit';

/** The namespace holds the URL of the key server, in which there may be a password. */
const secretsOf = ({ fingerprint, namespace }: SharedKey): readonly string[] => [fingerprint, namespace];

/** What a store says is checked like everything from outside. */
function toRead(read: unknown): SharedRead {
  const now = fieldOf(read, 'now');
  if (typeof now !== 'number' || !Number.isFinite(now)) throw new TypeError('the store has no time');
  const entry = fieldOf(read, 'entry');
  const value = fieldOf(entry, 'value');
  const fence = fieldOf(entry, 'fence');
  const isEntry = typeof value === 'string' && typeof fence === 'number' && Number.isFinite(fence);
  const unsealable = fieldOf(read, 'unsealable') === true || (entry !== undefined && !isEntry);
  const isEstimate = fieldOf(read, 'isEstimate') === true;
  return { now, isEstimate, entry: isEntry ? { value, fence } : undefined, unsealable };
}
