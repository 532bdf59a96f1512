import type { Truth } from '../../chaos/truth.js';
import type { Violations } from '../../chaos/violations.js';
import { LAG_MS, MEMBERS, REGULARS, SETTINGS, SLACK_MS, WINDOW_MS, type Sighting } from './wire.js';

interface Fault {
  readonly member: number | undefined;
  readonly kind: FaultKind;
  readonly from: number;
  to: number;
}

/** Of the key server; of the way on which revocations come, for one process or all; of the store. */
export type FaultKind = 'server' | 'redis' | 'sse' | 'store';

/** An outage of the key server may be felt for so long after it: a breaker, a deadline. */
const AFTERMATH_MS = 6_000;

/** A stream that failed is opened again within this time. */
const RECONNECT_MS = 5_000;

/** Holds every result against the truth. A violation begins with the number of its invariant in DESIGN.md. */
export class Checker {
  readonly results: Record<string, number> = {};
  checked = 0;
  /** How many were of a key whose revocation had to be effective. */
  timely = 0;
  readonly #truth: Truth;
  readonly #violations: Violations;
  readonly #faults: Fault[] = [];
  /** When the latest revocation of a key was published by Redis, and when the key had been revoked. */
  readonly #published = new Map<number, { readonly at: number; readonly committedAt: number }>();
  /** When somebody published what nobody may: known keys may be denied in an outage then. */
  #forgedAt = -Infinity;

  constructor(truth: Truth, violations: Violations) {
    this.#truth = truth;
    this.#violations = violations;
  }

  /** Notes a fault; the function that is returned notes its end. */
  fault(kind: FaultKind, member?: number): () => void {
    const fault = { member, kind, from: Date.now(), to: Infinity };
    this.#faults.push(fault);
    return () => {
      fault.to = Date.now();
    };
  }

  published(key: number, committedAt: number): void {
    this.#published.set(key, { at: Date.now(), committedAt });
  }

  forged(): void {
    this.#forgedAt = Date.now();
  }

  check(member: number, seen: Sighting): void {
    this.checked++;
    const name = `${seen.kind} ${seen.failure ?? seen.source}`;
    this.results[name] = (this.results[name] ?? 0) + 1;
    for (const wrong of this.#wrongs(member, seen)) this.#violations.add(member, wrong, seen);
  }

  *#wrongs(member: number, seen: Sighting): Generator<string> {
    const { key, from, at, kind, stalled } = seen;
    if (at - from > SETTINGS.timeoutMs + SLACK_MS && !stalled) yield '6: a caller waited past the deadline';
    if (key < 0) {
      if (kind === 'verified') yield '11: a made-up key was valid';
      return;
    }
    if (kind === 'verified') yield* this.#verified(seen);
    yield* this.#lagging(member, seen);
    if (kind === 'rejected') yield* this.#rejected(seen);
    const isRegular = key >= REGULARS.from;
    if (!isRegular || kind === 'verified' || stalled) return;
    // Whatever happens to Redis.
    if (!this.#had('server', undefined, from - AFTERMATH_MS, at)) yield `11: a good key was not verified: ${kind}`;
    else if (from - this.#forgedAt > SETTINGS.cacheTtlMs && kind === 'rejected') yield '11: a good key was refused';
  }

  *#verified({ key, from, at, source, forgottenAt }: Sighting): Generator<string> {
    const { cacheTtlMs, staleIfErrorMs, timeoutMs } = SETTINGS;
    const slack = timeoutMs + SLACK_MS;
    const bounds: Readonly<Record<string, number>> = { server: slack, stale: cacheTtlMs + staleIfErrorMs + slack };
    const earliest = from - (bounds[source] ?? cacheTtlMs + slack);
    if (!this.#truth.wasGood(key, earliest, at)) yield '2, 3, 8: a key was valid later than the bound';
    else if (!this.#truth.wasGood(key, Math.max(earliest, forgottenAt), at)) yield '4: an invalidation was lost';
  }

  *#lagging(member: number, { key, from, at, kind, stalled }: Sighting): Generator<string> {
    const effectiveAt = this.#effectiveAt(member, key);
    if (stalled || from < effectiveAt || this.#truth.wasGood(key, effectiveAt, at)) return;
    this.timely++;
    if (kind === 'verified') yield '12: a revocation was lost';
  }

  *#rejected({ key, from, at, source }: Sighting): Generator<string> {
    const { rejectedTtlMs, timeoutMs } = SETTINGS;
    // Known to be refused, it is refused for as long as there is no verdict.
    if (source === 'stale') return;
    const bound = (source === 'server' ? 0 : rejectedTtlMs) + timeoutMs + SLACK_MS;
    if (!this.#truth.wasBad(key, from - bound, at)) yield '14: a good key was refused as bad';
  }

  /** By when the latest revocation of the key has to be effective in this process. */
  #effectiveAt(member: number, key: number): number {
    const { ways } = MEMBERS[member] ?? MEMBERS[0];
    const times = ways.map((way) => {
      const revokedAt = this.#truth.revokedAt(key, Date.now());
      const published = this.#published.get(key);
      const at = way === 'sse' ? revokedAt : published?.at;
      if (at === undefined) return Infinity;
      // Revoked again, which still waits in the outbox.
      if (way === 'redis' && published !== undefined && published.committedAt < (revokedAt ?? -Infinity))
        return Infinity;
      const lagMs = LAG_MS[way] + SLACK_MS;
      const faults = this.#faults.filter(
        ({ kind, member: of, from, to }) =>
          kind === way && (of === undefined || of === member) && from <= at + lagMs && to >= at - RECONNECT_MS,
      );
      const disturbed = faults.filter(({ to }) => to >= at - SETTINGS.pollMs - SLACK_MS);
      // The stream may still wait before it is opened again; nothing is lost by that.
      if (disturbed.length === 0) return Math.max(at, ...faults.map(({ to }) => to + RECONNECT_MS)) + lagMs;
      // It comes late, or is lost: then the gap is found, and everything asked about again.
      const over = Math.max(...disturbed.map(({ to }) => to));
      return over + AFTERMATH_MS + WINDOW_MS;
    });
    return Math.min(...times);
  }

  #had(kind: FaultKind, member: number | undefined, from: number, to: number): boolean {
    return this.#faults.some(
      (fault) =>
        fault.kind === kind &&
        (fault.member === undefined || fault.member === member) &&
        fault.from <= to &&
        fault.to >= from,
    );
  }
}
