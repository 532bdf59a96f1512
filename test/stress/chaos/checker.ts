import { ISSUED, LAW, type Sighting } from './wire.js';
import type { Truth } from './truth.js';

/**
 * How long before a call the key server may have said what the call was given. A verdict's age counts from when its
 * question was sent. `server`: the call may have joined a flight that was under way. `stale` is for outages only, see `calm`.
 */
const BOUND_MS = {
  verified: {
    server: LAW.timeoutMs,
    cache: LAW.cacheTtlMs,
    stale: LAW.cacheTtlMs + LAW.staleIfErrorMs,
  },
  rejected: {
    server: LAW.timeoutMs,
    cache: LAW.rejectedTtlMs,
    // A key that ended while it was remembered is refused as long as the verdict that told of its end is.
    stale: LAW.cacheTtlMs + LAW.staleIfErrorMs,
  },
} as const;

/** A flight ends a turn of the event loop or two after its deadline. */
const SLACK_MS = 50;
/** How long ago a key may have ended when a caller hears that it is good: as long as that takes to get through to him. */
const HEARING_MS = 20;

const OUTAGES = new Set(['unreachable', 'timeout', 'server_error', 'circuit_open']);

/** Holds every single result against the truth. */
export class Checker {
  readonly violations: string[] = [];
  readonly results: Record<string, number> = {};
  checked = 0;
  /** How many were given when all was well. */
  calm = 0;
  readonly #truth: Truth;
  readonly #isCalm: (from: number, to: number) => boolean;

  constructor(truth: Truth, isCalm: (from: number, to: number) => boolean) {
    this.#truth = truth;
    this.#isCalm = isCalm;
  }

  check(verifier: string, seen: Sighting): void {
    this.checked++;
    const name = `${seen.kind} ${seen.failure ?? seen.source}`;
    this.results[name] = (this.results[name] ?? 0) + 1;
    for (const wrong of this.#wrongs(seen)) this.violations.push(`${verifier}: ${wrong}: ${JSON.stringify(seen)}`);
  }

  *#wrongs(seen: Sighting): Generator<string> {
    if (seen.kind === 'verified') yield* this.#verified(seen);
    else if (seen.kind === 'rejected') yield* this.#rejected(seen);
    else yield* this.#unavailable(seen);
    const notFresh = seen.kind === 'open' || seen.kind === 'closed' || seen.source === 'stale';
    if (seen.stalled || !this.#isCalm(seen.from, seen.at)) return;
    this.calm++;
    if (notFresh) yield 'not a fresh verdict though all was well';
  }

  *#verified({ key, from, at, source, verifiedAt, expiresAt, maxAgeMs, forgottenAt, stalled }: Sighting) {
    const bound = BOUND_MS.verified[source as keyof typeof BOUND_MS.verified];
    const earliest = Math.max(from - bound - (source === 'server' ? SLACK_MS : 0), forgottenAt);
    if (!this.#truth.wasGood(key, earliest, at))
      yield key < ISSUED ? 'a revoked key was valid later than the bound' : 'an unknown key was valid';
    if (!this.#truth.wasGood(key, verifiedAt, Math.min(at, verifiedAt + LAW.timeoutMs + SLACK_MS)))
      yield 'the key was not good when it is said to have been verified';
    if (verifiedAt < earliest - 2) yield 'a verdict was older than its bound';
    if (maxAgeMs !== undefined && verifiedAt < from - maxAgeMs - 2) yield 'a verdict was older than maxAgeMs';
    if (expiresAt !== undefined && expiresAt < at - HEARING_MS && !stalled) yield 'a key was valid past its end';
  }

  *#rejected({ key, from, at, source, forgottenAt }: Sighting) {
    const bound = BOUND_MS.rejected[source as keyof typeof BOUND_MS.rejected];
    const earliest = Math.max(from - bound - (source === 'server' ? SLACK_MS : 0), forgottenAt);
    if (!this.#truth.wasBad(key, earliest, at)) yield 'a good key was refused as bad';
  }

  *#unavailable({ kind, at, failure = 'overloaded', maxAgeMs = Infinity, mayOpen, ...seen }: Sighting) {
    const usable = seen.usableUntil > at && seen.usableSince > at - maxAgeMs;
    if (usable && !seen.stalled) yield 'no verdict though there was a usable one';
    if (kind === 'open' && !mayOpen) yield 'failed open where it may not';
    if (kind === 'open' && !OUTAGES.has(failure)) yield `failed open for ${failure}`;
  }
}
