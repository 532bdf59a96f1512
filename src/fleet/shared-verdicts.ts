import type { Clock } from '../core/clock.js';
import type { SharedEvent } from '../core/events.js';
import { toHex } from '../core/fingerprint.js';
import { isObject } from '../core/schema.js';
import type { Verdict } from '../core/verdict.js';
import { Breaker } from '../resilience/breaker.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { parseRecord, toRecord, type SharedVerdict } from './record.js';
import type { Positions } from './revocation.js';
import type { SharedCache, SharedEntry, SharedKey, SharedRead } from './shared-cache.js';

export interface SharedVerdictsOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How long an operation may take, in milliseconds. */
  readonly sharedTimeoutMs: number;
  readonly namespace: string;
  readonly onOperation: (event: SharedEvent) => void;
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

const FAILED = Symbol('failed');

/** The shared cache, made safe to ask: each operation has a deadline, and a breaker keeps a dead store out of the way. */
export class SharedVerdicts {
  readonly #cache: SharedCache;
  readonly #options: SharedVerdictsOptions;
  readonly #breaker: Breaker<true>;

  constructor(cache: SharedCache, options: SharedVerdictsOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#breaker = new Breaker(BREAKER, options.random, () => undefined);
  }

  /** What is known of a key; `undefined` if the store can't say, within `budgetMs` at the most. */
  async read(fingerprint: string, secrets: readonly string[], budgetMs: number): Promise<SharedFinding | undefined> {
    const key = this.#keyOf(fingerprint);
    const get = async (): Promise<SharedRead> => toRead(await this.#cache.get(key));
    const read = await this.#run('get', get, budgetMs, ({ entry, unreadable }) =>
      unreadable === true ? 'unreadable' : entry === undefined ? 'miss' : 'hit',
    );
    if (read === undefined) return undefined;
    const { now, entry } = read;
    const verdict = entry && this.#parse(entry, now, secrets);
    return { now, verdict, ageMs: now - (entry?.fence ?? now) };
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
    const put = async (): Promise<boolean> => await this.#cache.put(key, value, options);
    await this.#run('put', put, Infinity, (done) => (done ? 'hit' : 'miss'));
  }

  /** Whether this process is to ask about the key; `true` as well if the store can't say. */
  async lease(fingerprint: string, ms: number): Promise<boolean> {
    const key = this.#keyOf(fingerprint);
    const lease = async (): Promise<boolean> => await this.#cache.lease(key, ms);
    return (await this.#run('lease', lease, Infinity, (taken) => (taken ? 'hit' : 'miss'))) ?? true;
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
  async #run<T>(
    operation: SharedEvent['operation'],
    work: () => Promise<T>,
    budgetMs: number,
    outcomeOf: (done: T) => SharedEvent['outcome'],
  ): Promise<T | undefined> {
    const { clock } = this.#options;
    if (this.#breaker.state === 'closed') return await this.#attempt(operation, work, budgetMs, outcomeOf);
    const mono = clock.monotonic();
    if (operation === 'get' && this.#breaker.state === 'open' && mono >= this.#breaker.probeAt) {
      this.#breaker.beginProbe(mono);
      void this.#attempt(operation, work, Infinity, outcomeOf);
    }
    return undefined;
  }

  async #attempt<T>(
    operation: SharedEvent['operation'],
    work: () => Promise<T>,
    budgetMs: number,
    outcomeOf: (done: T) => SharedEvent['outcome'],
  ): Promise<T | undefined> {
    const { clock, sharedTimeoutMs, onOperation } = this.#options;
    const startedAt = clock.monotonic();
    const deadline = new Deadline(clock, Math.min(sharedTimeoutMs, budgetMs), startedAt);
    let done: T | typeof TIMED_OUT | typeof FAILED;
    try {
      done = await deadline.race(work());
    } catch {
      done = FAILED;
    }
    const mono = clock.monotonic();
    const durationMs = mono - startedAt;
    if (done === TIMED_OUT || done === FAILED) {
      this.#breaker.recordFailure(true, mono);
      onOperation({ operation, outcome: done === FAILED ? 'error' : 'timeout', durationMs });
      return undefined;
    }
    this.#breaker.recordSuccess();
    onOperation({ operation, outcome: outcomeOf(done), durationMs });
    return done;
  }
}

/** What a store says is checked like everything from outside. */
function toRead(read: unknown): SharedRead {
  const field = (from: unknown, name: string): unknown => (isObject(from) ? Reflect.get(from, name) : undefined);
  const now = field(read, 'now');
  if (typeof now !== 'number' || !Number.isFinite(now)) throw new TypeError('the store has no time');
  const entry = field(read, 'entry');
  const value = field(entry, 'value');
  const fence = field(entry, 'fence');
  const isEntry = typeof value === 'string' && typeof fence === 'number' && Number.isFinite(fence);
  const unreadable = field(read, 'unreadable') === true || (entry !== undefined && !isEntry);
  return { now, entry: isEntry ? { value, fence } : undefined, unreadable };
}
