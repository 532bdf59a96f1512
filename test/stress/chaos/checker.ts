import { SHORTEST_TTL } from './memory.js';
import type { Truth } from './truth.js';
import type { Violations } from './violations.js';
import { NEWCOMER_MS, SETTINGS, VARIANTS, type Arrival, type Sighting } from './wire.js';
import type { World } from './world.js';

/** A flight ends a turn of the event loop or two after its deadline. */
const SLACK_MS = 50;
/** How soon an outage opens. */
const OPEN_MS = SETTINGS.timeoutMs + SLACK_MS;
/** A hang opens once a control question has hung for 45 % of `timeoutMs`, and that one is asked a second after the one before. */
const OPEN_HANG_MS = Math.max(SETTINGS.timeoutMs, 1_000 + 0.45 * SETTINGS.timeoutMs) + SLACK_MS;
/** How long ago a key may have ended when a caller hears that it is good: as long as that takes to get through to him. */
const HEARING_MS = 20;
/** A revoked key is refused so long past its TTL while the server answers others. */
const REVOKED_SLACK_MS = 1_000;

const OUTAGES = new Set(['unreachable', 'timeout', 'server_error', 'circuit_open']);
/** What comes of a server that lacks a processor. It neither resets nor answers 5xx. */
const SILENCE = new Set(['timeout', 'circuit_open']);
/** What callers can cause: a stale verdict is honored for one more TTL, and no longer. */
const OWN_DOING = new Set(['rate_limited', 'overloaded']);

/** How soon the first caller was let in during an outage for everybody. */
interface Opening {
  readonly askedAt: number;
  openedAt: number | undefined;
  excused: boolean;
}

/** Holds every single result against the truth. A violation begins with the number of its invariant in DESIGN.md. */
export class Checker {
  readonly violations: Violations;
  readonly results: Record<string, number> = {};
  checked = 0;
  /** How many were given when all was well. */
  calm = 0;
  /** How many were given by a process that lacked a processor just then: rules of time don't apply to them. */
  excused = 0;
  readonly #truth: Truth;
  readonly #world: World;
  readonly #openings = new Map<string, Opening>();
  readonly arrivals: number[] = [];

  constructor(truth: Truth, world: World, violations: Violations) {
    this.#truth = truth;
    this.#world = world;
    this.violations = violations;
  }

  check(verifier: number, seen: Sighting): void {
    this.checked++;
    const kind = seen.kind === 'open' || seen.kind === 'closed' ? `fail-${seen.kind}` : seen.kind;
    const name = `${kind} ${seen.failure ?? seen.source}`;
    this.results[name] = (this.results[name] ?? 0) + 1;
    const attack = this.#world.attackAt(verifier, seen.from);
    for (const wrong of this.#wrongs(verifier, seen))
      this.violations.add(verifier, attack === undefined ? wrong : `${wrong} (${attack})`, seen);
  }

  arrive(verifier: number, arrival: Arrival): void {
    const { from, at, gotIn, stalled } = arrival;
    if (this.#world.hadFault(verifier, from, at)) return;
    if (gotIn) this.arrivals.push(at - from);
    if (at - from <= NEWCOMER_MS || stalled || this.#world.isStalled(from, at)) return;
    const attack = this.#world.attackAt(verifier, from) ?? 'no attack';
    this.violations.add(verifier, `14: a good newcomer waited over ${NEWCOMER_MS} ms (${attack})`, arrival);
  }

  /** In milliseconds, for each outage and verifier that may open. Adds those that were late to the violations. */
  openings(): number[] {
    const took: number[] = [];
    for (const [id, { askedAt, openedAt, excused }] of this.#openings) {
      const ms = (openedAt ?? Infinity) - askedAt;
      if (openedAt !== undefined) took.push(ms);
      const [verifier, since] = id.split(' ').map(Number);
      if (excused || ms <= this.#openMs(since)) continue;
      this.violations.add(verifier ?? NaN, 'outage: opened late', { id, askedAt, openedAt });
    }
    return took;
  }

  *#wrongs(verifier: number, seen: Sighting): Generator<string> {
    if (seen.kind === 'verified') yield* this.#verified(verifier, seen);
    else if (seen.kind === 'rejected') yield* this.#rejected(verifier, seen);
    else yield* this.#unavailable(verifier, seen);
    if (seen.kind === 'open') yield* this.#open(verifier, seen);
    this.#noteOpening(verifier, seen);
    if (seen.stalled) {
      this.excused++;
      return;
    }
    if (this.#isDeniedInOutage(verifier, seen)) yield 'outage: denied though it may open';
    if (this.#isRegularDenied(verifier, seen)) yield `14: a known good key stopped working: ${seen.kind}`;
    if (!this.#world.isCalm(verifier, seen.from, seen.at)) return;
    this.calm++;
    const isFresh = seen.kind !== 'open' && seen.kind !== 'closed' && seen.source !== 'stale';
    if (!isFresh) yield 'outage: not recovered, no fresh verdict though all was well';
  }

  *#verified(verifier: number, seen: Sighting) {
    const { key, from, at, source, verifiedAt, expiresAt, maxAgeMs, forgottenAt, stalled } = seen;
    const { cacheTtlMs, timeoutMs } = SETTINGS;
    // A verdict's age counts from when its question was sent. `server`: the call may have joined a flight under way.
    const bounds = { server: timeoutMs + SLACK_MS, cache: cacheTtlMs, stale: cacheTtlMs + staleMs(verifier) };
    const bound = bounds[source as keyof typeof bounds];
    const earliest = Math.max(from - bound, forgottenAt);
    if (!this.#truth.wasGood(key, earliest, at))
      yield forgottenAt > from - bound ? '12: a revocation was lost' : '3: a key was valid later than the bound';
    if (!this.#truth.wasGood(key, verifiedAt, Math.min(at, verifiedAt + timeoutMs + SLACK_MS)))
      yield '2: the key was not good when it is said to have been verified';
    if (verifiedAt < earliest - 2) yield '2: a verdict was older than its bound';
    if (maxAgeMs !== undefined && verifiedAt < from - maxAgeMs - 2) yield '2: a verdict was older than maxAgeMs';
    if (expiresAt !== undefined && expiresAt < at - HEARING_MS && !stalled) yield '3: a key was valid past its end';
    if (this.#outlives(verifier, seen)) yield '3: a revoked key lived on while the server answered others';
  }

  *#rejected(verifier: number, { key, from, at, source, forgottenAt, rejectedAt }: Sighting) {
    const { cacheTtlMs, rejectedTtlMs, timeoutMs } = SETTINGS;
    // Stale: a key that ended while it was remembered is refused as long as its verdict is, a refused one for ever.
    const bounds = { server: timeoutMs + SLACK_MS, cache: rejectedTtlMs, stale: cacheTtlMs + staleMs(verifier) };
    const sinceRefusal = source === 'stale' ? rejectedAt : Infinity;
    const earliest = Math.min(from - bounds[source as keyof typeof bounds], sinceRefusal);
    if (!this.#truth.wasBad(key, Math.max(earliest, forgottenAt), at)) yield '14: a good key was refused as bad';
  }

  *#unavailable(verifier: number, { at, failure = 'overloaded', evidence, maxAgeMs = Infinity, ...seen }: Sighting) {
    // While others are answered, what befalls one key alone is no reason to honor its verdict for long. A key fails since its
    // last verdict at the longest, and what was answered a timeout later was asked after that.
    const isAnswering = at - seen.answeredAt < SETTINGS.cacheTtlMs + SLACK_MS;
    const othersWereAnswered = isAnswering || seen.answeredAt > seen.freshSince + SETTINGS.timeoutMs;
    const isOwnDoing = OWN_DOING.has(failure) || (evidence === 'none' && (OUTAGES.has(failure) || othersWereAnswered));
    const stale = isOwnDoing ? Math.min(staleMs(verifier), ttlMs(seen.wasRejected)) : staleMs(verifier);
    const isUsable = seen.freshUntil + stale > at && seen.freshSince > at - maxAgeMs;
    if (isUsable && !seen.stalled) yield 'policy: no verdict though there was a usable one';
  }

  *#open(verifier: number, { who, key, from, at, failure = 'overloaded', mayOpen, knownBad }: Sighting) {
    if (!mayOpen) yield '7: failed open where it may not';
    if (!OUTAGES.has(failure)) yield `7: failed open for ${failure}`;
    if (knownBad !== undefined) yield `7: a key known to be bad was let in: ${knownBad}`;
    if (this.#world.hadOutage(verifier, from, at)) return;
    if (SILENCE.has(failure) && this.#world.isStalled(from, at)) return;
    yield this.#truth.wasGood(key, at, at)
      ? `14: a good key lost its identity without an outage: ${who}`
      : `7: let in without an outage: ${who}`;
  }

  #noteOpening(verifier: number, { who, from, at, kind, failure, mayOpen, stalled }: Sighting): void {
    const since = this.#world.outageAt(from, from);
    if (since === undefined || who !== 'made-up' || !mayOpen || waitedForSlot(verifier, failure)) return;
    const id = `${verifier} ${since}`;
    const opening = this.#openings.get(id) ?? { askedAt: from, openedAt: undefined, excused: false };
    this.#openings.set(id, opening);
    if (kind === 'open') opening.openedAt ??= at;
    if (opening.openedAt === undefined || opening.openedAt === at) opening.excused ||= stalled;
  }

  #isDeniedInOutage(verifier: number, { who, from, at, kind, failure, mayOpen }: Sighting): boolean {
    if (kind !== 'closed' || who !== 'made-up' || !mayOpen) return false;
    if (waitedForSlot(verifier, failure)) return false;
    const since = this.#world.outageAt(from, at);
    return since !== undefined && since + this.#openMs(since) <= from;
  }

  #openMs(since = NaN): number {
    return this.#world.isHangAt(since) ? OPEN_HANG_MS : OPEN_MS;
  }

  #isRegularDenied(verifier: number, { who, kind, from, at, verifiedAt, freshSince }: Sighting): boolean {
    const attack = this.#world.attackAt(verifier, from);
    if (who !== 'regular' || kind === 'verified' || attack === undefined || verifiedAt > 0) return false;
    if (this.#world.hadFault(verifier, from, at) || this.#world.isStalled(from, at)) return false;
    // Without stale verdicts, a server that is slow, sheds or limits everybody costs them a moment.
    return freshSince > 0 && (staleMs(verifier) > 0 || attack === 'poison');
  }

  #outlives(verifier: number, { key, from, at, stalled }: Sighting): boolean {
    const revokedAt = this.#truth.revokedAt(key, from);
    if (revokedAt === undefined || stalled || this.#world.isStalled(from, at)) return false;
    if (this.#world.hadFault(verifier, revokedAt, at)) return false;
    const { cacheTtlMs } = SETTINGS;
    const attack = this.#world.attackAt(verifier, from);
    // What lets others wait for an answer may let this key wait one more TTL; poison and floods do not.
    const isSlowed = attack !== undefined && attack !== 'poison' && attack !== 'flood';
    return from > revokedAt + (isSlowed ? 2 * cacheTtlMs : cacheTtlMs + REVOKED_SLACK_MS);
  }
}

/** Without a breaker everybody waits for a slot as long as the server hangs, and `overloaded` may not open. */
const waitedForSlot = (verifier: number, failure: Sighting['failure']): boolean =>
  failure === 'overloaded' && VARIANTS[verifier]?.breaker === false;
const staleMs = (verifier: number): number => VARIANTS[verifier]?.staleIfErrorMs ?? 0;
/** At the least: TTLs are jittered. */
const ttlMs = (isRejected: boolean): number =>
  SHORTEST_TTL * (isRejected ? SETTINGS.rejectedTtlMs : SETTINGS.cacheTtlMs);
