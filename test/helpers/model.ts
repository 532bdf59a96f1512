/** What the key server would say of a key, if it could be reached. */
export interface Truth {
  readonly tenant: string;
  reason: string | undefined;
  expiresAt: number | undefined;
}

export const TTL = 300_000;
export const REJECTED_TTL = 10_000;
export const STALE = 3_600_000;
const REST = 500;

/** How questions fail while there are no answers: neither opens, and callers can bring about the second. */
export type OutageKind = 'misconfigured' | 'overloaded';

interface Known {
  readonly reason: string | undefined;
  readonly tenant: string;
  readonly expiresAt: number | undefined;
  readonly at: number;
  restUntil: number;
}
interface Flight {
  readonly key: string;
  readonly answer: Known | undefined;
  readonly at: number;
  readonly waiters: { readonly maxAge: number; readonly tell: (brief: string) => void }[];
  readonly overtakenBy: Selects[];
  /** Whether it is asked anew, because the first answer was invalidated while in flight. */
  readonly isSecond?: boolean;
}
type Selects = (key: string, verdict: Known | undefined) => boolean;

/** The verifier as DESIGN.md tells it, in as few words as possible: no jitter, no breaker, no refresh ahead. */
export class Model {
  now = 0;
  up = true;
  readonly #truth: ReadonlyMap<string, Truth>;
  readonly #kind: OutageKind;
  readonly #known = new Map<string, Known>();
  readonly #air = new Map<string, Flight>();
  readonly #flights: Flight[] = [];
  #answeredAt = -Infinity;

  constructor(truth: ReadonlyMap<string, Truth>, kind: OutageKind) {
    this.#truth = truth;
    this.#kind = kind;
  }

  verify(key: string, maxAge: number | undefined, tell: (brief: string) => void): void {
    const known = this.#known.get(key);
    const waiter = { maxAge: maxAge ?? Infinity, tell };
    if (known !== undefined) {
      const fresh = this.#fresh(known, waiter.maxAge);
      const now = fresh ?? (this.now < known.restUntil ? this.#stale(known, waiter.maxAge) : undefined);
      if (now !== undefined) {
        tell(now);
        return;
      }
    }
    let flight = this.#air.get(key);
    if (flight === undefined || (maxAge !== undefined && this.now - flight.at >= maxAge)) {
      flight = { key, answer: this.up ? this.#ask(key) : undefined, at: this.now, waiters: [], overtakenBy: [] };
      this.#air.set(key, flight);
      this.#flights.push(flight);
    }
    flight.waiters.push(waiter);
  }

  /** The oldest flight lands. */
  land(): void {
    const flight = this.#flights.shift();
    if (flight === undefined) return;
    const { key, at, waiters, overtakenBy } = flight;
    const answer = flight.answer && this.#onArrival(flight.answer);
    if (this.#air.get(key) === flight) this.#air.delete(key);
    const known = this.#known.get(key);
    if (answer !== undefined) this.#answeredAt = this.now;
    const isOvertaken = answer !== undefined && overtakenBy.some((selects) => selects(key, answer));
    const isInvalidated = isOvertaken && answer.reason === undefined;
    if (isInvalidated && flight.isSecond !== true) {
      const next = this.up ? this.#ask(key) : undefined;
      this.#flights.push({ key, answer: next, at: this.now, waiters, overtakenBy: [], isSecond: true });
    } else if (answer === undefined || isInvalidated) {
      if (known !== undefined) known.restUntil = this.now + REST;
      const failed = `closed ${isInvalidated ? 'overloaded' : this.#kind}`;
      for (const { maxAge, tell } of waiters)
        tell((known && (this.#fresh(known, maxAge) ?? this.#stale(known, maxAge))) ?? failed);
    } else {
      if (!isOvertaken && (known === undefined || known.at <= at)) this.#known.set(key, answer);
      for (const { tell } of waiters) tell(say(answer, 'server'));
    }
  }

  invalidate(key: string): void {
    this.#air.delete(key);
    this.#forget((other) => other === key);
  }

  invalidateTenant(tenant: string): void {
    this.#air.clear();
    this.#forget((_, verdict) => verdict?.reason === undefined && verdict?.tenant === tenant);
  }

  clear(): void {
    this.#air.clear();
    this.#forget(() => true);
  }

  #forget(selects: Selects): void {
    for (const [key, known] of this.#known) if (selects(key, known)) this.#known.delete(key);
    for (const flight of this.#flights) flight.overtakenBy.push(selects);
  }

  #ask(key: string): Known {
    const { tenant, reason, expiresAt } = this.#truth.get(key) ?? {
      tenant: '',
      reason: 'unknown_key',
      expiresAt: undefined,
    };
    const ended = expiresAt !== undefined && expiresAt <= this.now ? 'expired' : undefined;
    return { tenant, reason: reason ?? ended, expiresAt, at: this.now, restUntil: -1 };
  }

  /** A key that ended while its answer was on the way. */
  #onArrival(answer: Known): Known {
    const ended = answer.reason === undefined && (answer.expiresAt ?? Infinity) <= this.now;
    return ended ? { ...answer, reason: 'expired' } : answer;
  }

  #ttl({ reason, expiresAt = Infinity, at }: Known): number {
    return reason === undefined ? Math.min(TTL, expiresAt - at) : REJECTED_TTL;
  }

  #fresh(known: Known, maxAge: number): string | undefined {
    const age = this.now - known.at;
    return age < this.#ttl(known) && age < maxAge ? say(known, 'cache') : undefined;
  }

  #stale(known: Known, maxAge: number): string | undefined {
    const age = this.now - known.at;
    if (known.reason !== undefined) return say(known, 'stale');
    if (this.now >= (known.expiresAt ?? Infinity)) return 'rejected stale expired';
    const ttl = this.#ttl(known);
    // Callers can bring it about, or others are answered.
    const isOwn = this.#kind === 'overloaded' || this.now - this.#answeredAt < ttl;
    if (age >= ttl + (isOwn ? Math.min(ttl, STALE) : STALE)) return undefined;
    return age < maxAge ? say(known, 'stale') : undefined;
  }
}

function say({ reason }: Known, source: string): string {
  return reason === undefined ? `valid ${source}` : `rejected ${source} ${reason}`;
}
