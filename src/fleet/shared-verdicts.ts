import type { Clock } from '../core/clock.js';
import type { SharedEvent, SharedOutcome } from '../core/events.js';
import { toHex } from '../core/fingerprint.js';
import { redactError } from '../core/redact.js';
import { isObject } from '../core/schema.js';
import type { Verdict } from '../core/verdict.js';
import { Breaker } from '../resilience/breaker.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { parseRecord, toRecord, type SharedVerdict } from './record.js';
import type { Positions } from './position.js';
import type { SharedCache, SharedEntry, SharedKey, SharedRead } from './shared-cache.js';

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
  readonly work: () => Promise<T>;
  readonly outcomeOf: (done: T) => 'hit' | 'miss' | 'unsealable';
  readonly budgetMs?: number;
  /** What an error of the store must not show. */
  readonly secrets: readonly string[];
}

/** An operation that was run; its value, unless it failed. */
interface Attempt<T> extends SharedOutcome {
  readonly value: T | undefined;
}

/** What is in the shared cache. */
export interface SharedFinding {
  /** The time of the store when it was read, in epoch milliseconds. */
  readonly now: number;
  readonly verdict: SharedVerdict | undefined;
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

  /** Whether the store is left out, since it failed several times in a row. */
  get isDown(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** Whether it is not worth a look: the breaker is open, and nobody has to find out yet whether the store is back. */
  get isOut(): boolean {
    const { state, probeAt } = this.#breaker;
    return state === 'half-open' || (state === 'open' && this.#options.clock.monotonic() < probeAt);
  }

  /** Whether the store has done something within the last `ms` milliseconds. */
  workedWithin(ms: number): boolean {
    return this.#options.clock.monotonic() - this.#workedAt < ms;
  }

  /** What is known of a key; `undefined` if the store can't say, within `budgetMs` at the most. */
  async read(fingerprint: string, secrets: readonly string[], budgetMs: number): Promise<SharedFinding | undefined> {
    const read = await this.#get('get', fingerprint, budgetMs);
    if (read === undefined) return undefined;
    const { now, entry } = read;
    const verdict = entry && this.#parse(entry, now, secrets);
    return { now, verdict, ageMs: now - (entry?.fence ?? now) };
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
    const work = async (): Promise<boolean> => await this.#cache.put(key, value, options);
    await this.#run({ operation: 'put', work, outcomeOf: isDone, secrets: [...secretsOf(key), value] });
  }

  /** Whether this process is to ask about the key; `true` as well if the store can't say. */
  async lease(fingerprint: string, ms: number): Promise<boolean> {
    const key = this.#keyOf(fingerprint);
    const work = async (): Promise<boolean> => await this.#cache.lease(key, ms);
    return (await this.#run({ operation: 'lease', work, outcomeOf: isDone, secrets: secretsOf(key) })) ?? true;
  }

  async #get(operation: 'get' | 'probe', fingerprint: string, budgetMs: number): Promise<SharedRead | undefined> {
    const key = this.#keyOf(fingerprint);
    const work = async (): Promise<SharedRead> => toRead(await this.#cache.get(key));
    return await this.#run({ operation, work, outcomeOf: outcomeOfRead, budgetMs, secrets: secretsOf(key) });
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
  async #run<T>(operation: Operation<T>): Promise<T | undefined> {
    const { clock } = this.#options;
    if (this.#breaker.state === 'closed') return await this.#attempt(operation);
    const isRead = operation.operation === 'get' || operation.operation === 'probe';
    if (isRead && !this.isOut) {
      this.#breaker.beginProbe(clock.monotonic());
      void this.#attempt({ ...operation, budgetMs: Infinity });
    }
    return undefined;
  }

  async #attempt<T>(operation: Operation<T>): Promise<T | undefined> {
    const { around, onOutcome } = this.#options;
    const event = { operation: operation.operation };
    const run = async (): Promise<Attempt<T>> => {
      const attempt = await this.#time(operation);
      onOutcome(event, attempt);
      return attempt;
    };
    const { value } = await around(event, run, ({ outcome, error, durationMs }) => ({ outcome, error, durationMs }));
    return value;
  }

  async #time<T>({ work, outcomeOf, budgetMs = Infinity, secrets }: Operation<T>): Promise<Attempt<T>> {
    const { clock, sharedTimeoutMs } = this.#options;
    const startedAt = clock.monotonic();
    const failed = (outcome: 'timeout' | 'error', error?: Error): Attempt<T> => {
      const mono = clock.monotonic();
      this.#breaker.recordFailure(true, mono);
      return { value: undefined, outcome, error, durationMs: mono - startedAt };
    };
    try {
      const done = await new Deadline(clock, Math.min(sharedTimeoutMs, budgetMs), startedAt).race(work());
      if (done === TIMED_OUT) return failed('timeout');
      const mono = clock.monotonic();
      this.#breaker.recordSuccess();
      this.#workedAt = mono;
      return { value: done, outcome: outcomeOf(done), error: undefined, durationMs: mono - startedAt };
    } catch (error) {
      return failed('error', redactError(error, secrets));
    }
  }
}

const isDone = (done: boolean) => (done ? 'hit' : 'miss');

const outcomeOfRead = ({ entry, unsealable }: SharedRead) =>
  unsealable === true ? 'unsealable' : entry === undefined ? 'miss' : 'hit';

/** The namespace holds the URL of the key server, in which there may be a password. */
const secretsOf = ({ fingerprint, namespace }: SharedKey): readonly string[] => [fingerprint, namespace];

/** What a store says is checked like everything from outside. */
function toRead(read: unknown): SharedRead {
  const field = (from: unknown, name: string): unknown => (isObject(from) ? Reflect.get(from, name) : undefined);
  const now = field(read, 'now');
  if (typeof now !== 'number' || !Number.isFinite(now)) throw new TypeError('the store has no time');
  const entry = field(read, 'entry');
  const value = field(entry, 'value');
  const fence = field(entry, 'fence');
  const isEntry = typeof value === 'string' && typeof fence === 'number' && Number.isFinite(fence);
  const unsealable = field(read, 'unsealable') === true || (entry !== undefined && !isEntry);
  return { now, entry: isEntry ? { value, fence } : undefined, unsealable };
}
