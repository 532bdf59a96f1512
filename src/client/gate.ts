import type { Clock } from '../core/clock.js';
import { VerifyFailure, type FailureKind } from '../core/failure.js';
import type { Breaker } from '../resilience/breaker.js';
import { Bulkhead, laneOf, type Lane } from '../resilience/bulkhead.js';
import { Congestion, type InFlight } from '../resilience/congestion.js';
import { Pacer } from '../resilience/pacer.js';
import type { KeyQuestion } from './question.js';

export interface GateOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxConcurrency: number;
  readonly random: () => number;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
  /** Asks about a known key in the background, although the gate refuses. */
  readonly refresh: (fingerprint: string, key: string) => void;
}

/**
 * The part of `maxConcurrency` that stays in use under congestion while anybody is answered: a few keys that hang could take
 * less.
 */
const LEAST_RATIO = 1 / 8;

/** The part of `maxConcurrency` that brief questions may use. */
const BRIEF_RATIO = 1 / 4;

/** The questions that hold a slot, by lane. */
type Calls = Readonly<Record<Lane, InFlight>>;

/** The part of `timeoutMs` within which a server that is down fails at once. */
const QUICK_RATIO = 1 / 8;

/** The part of `timeoutMs` by which an answer is too early for a queue, if it overtakes what was sent so long before. */
const OVERTAKES_RATIO = 1 / 8;

/** How long a 429 without a `Retry-After` pauses us, in milliseconds. */
const DEFAULT_PAUSE_MS = 1000;

/**
 * The part of `timeoutMs` for which a question may wait for a slot. The rest is for the answer: a long queue would otherwise
 * send every question just before its deadline, in vain. While others are answered, it may wait for longer, as long as
 * there is time left for this many answers as they were of late.
 */
const QUEUE_RATIO = 0.5;
const LONG_QUEUE_RATIO = 0.875;
const ANSWERS_LEFT = 2;

/**
 * How many questions a second are asked during every pause all the same, more while they are answered: nobody can keep others
 * out by causing a pause.
 */
const KNOWN_PER_SECOND = 10;
const NEW_PER_SECOND = 5;

/** How often in a row a known key fails alone before it comes after all others. A limit on all questions hardly does that. */
const FAILS_ALONE = 4;

/**
 * How many questions about known keys callers may have asked during a 429's pause for each answer about a known key, and how
 * many at once. As long as these are answered, the limit isn't on all questions.
 */
const CREDIT_PER_ANSWER = 2;
const MOST_CREDIT = 100;

/** A question that may be asked during a pause. */
export type Asking = Pick<KeyQuestion, 'fingerprint' | 'key' | 'isKnown' | 'maxAgeMs' | 'backoff'>;

/** May we call the key server now? Rate-limit pause, circuit breaker and bulkhead, in one place. */
export class Gate {
  readonly bulkhead: Bulkhead;
  readonly #options: GateOptions;
  readonly #breaker: Breaker<VerifyFailure> | undefined;
  readonly #congestion: Readonly<Record<Lane, Congestion>>;
  readonly #pacers: Readonly<Record<Lane, Pacer>>;
  #pausedUntil = -Infinity;
  /** Known keys that wait to be asked about during a pause, by fingerprint; those that have waited longest first. */
  readonly #waiting = new Map<string, string>();
  #timer: (() => void) | undefined;
  /** How many questions about known keys callers may have asked during a 429's pause. */
  #credit = 0;
  /** How many questions are asked briefly. */
  #brief = 0;
  /** Whether the latest control question that failed was answered with a `Retry-After`. */
  #asksForPause = false;
  /** How long the latest answers took: an average in which each counts for half of all before it. */
  #latestMs = 0;
  #lastAnswerAt = -Infinity;
  /** One failure for all who are refused by the same pause. */
  #blockedBy: { readonly until: number; readonly failure: VerifyFailure } | undefined;

  constructor(options: GateOptions, breaker: Breaker<VerifyFailure> | undefined) {
    this.#options = options;
    this.#breaker = breaker;
    this.#congestion = { high: new Congestion(options.timeoutMs), low: new Congestion(options.timeoutMs) };
    this.#pacers = {
      high: new Pacer(KNOWN_PER_SECOND, options.random),
      low: new Pacer(NEW_PER_SECOND, options.random),
    };
    this.bulkhead = new Bulkhead(options.maxConcurrency, options.clock);
  }

  /** Whether so much is asked that even a healthy server may answer nothing in time. */
  isCongested(mono: number): boolean {
    return this.#congestion.low.lasts(mono) || this.#congestion.high.lasts(mono);
  }

  /** The failure a call would get now without being sent, if there is one. */
  blockedBy(mono: number): VerifyFailure | undefined {
    const breaker = this.#breaker;
    const open = breaker?.failure;
    if (breaker === undefined || open === undefined) {
      const until = this.#pausedUntil;
      return mono < until ? this.#shared(until, mono, 'rate_limited', RATE_LIMITED) : undefined;
    }
    // An open breaker goes before a pause: any caller can cause a pause.
    if (!this.#options.sharesPromises && mono >= breaker.probeAt) {
      // No timer probes here, so the next caller does.
      breaker.beginProbe(mono);
      return undefined;
    }
    return this.#shared(breaker.probeAt, mono, 'circuit_open', CIRCUIT_OPEN, open);
  }

  /**
   * Whether this question may be asked although others are refused. If not, a known key waits, to be asked about in the
   * background: if each call tried its luck, a few keys that are presented all the time would shut out all others.
   */
  isNext({ fingerprint, key, isKnown, maxAgeMs, backoff }: Asking, mono: number, isAwaited: boolean): boolean {
    if (backoff && mono < backoff.until) return false;
    const isFirst = this.#waiting.size === 0;
    const isDown = this.#breaker?.failure !== undefined;
    const alone = backoff?.alone ?? 0;
    if (isKnown && isAwaited && alone === 0 && !isDown && this.#credit >= 1) {
      this.#credit--;
      return true;
    }
    // Where the key server limits the rate of all, an answer about a new key may cost that about a known one.
    const yields = isKnown ? alone >= (maxAgeMs === 0 ? 1 : FAILS_ALONE) : !isFirst && !isDown;
    // An isolate may end a request before it has asked for another.
    const waits = this.#options.sharesPromises && isKnown && maxAgeMs !== 0 && !yields;
    if ((isFirst || !isKnown) && (isAwaited || !waits) && this.#pacers[laneOf(isKnown)].tryTake(mono, yields))
      return true;
    if (waits) {
      this.#waiting.set(fingerprint, key);
      this.#watch();
    }
    if (isKnown && (isAwaited || !isFirst)) this.#askWaiting(mono);
    return false;
  }

  #watch(): void {
    const { clock } = this.#options;
    if (this.#timer) return;
    // Until then, a server that limits our rate may answer one more.
    this.#timer = clock.after(
      50,
      () => {
        this.#timer = undefined;
        const mono = clock.monotonic();
        if (this.blockedBy(mono)) this.#askWaiting(mono);
        // No raw key is kept any longer.
        else this.#waiting.clear();
        if (this.#waiting.size > 0) this.#watch();
      },
      true,
    );
  }

  /** Asks about the known keys that have waited longest, as many as may be asked about now. */
  #askWaiting(mono: number): void {
    for (const [fingerprint, key] of this.#waiting) {
      if (!this.#pacers.high.tryTake(mono)) return;
      this.#waiting.delete(fingerprint);
      this.#options.refresh(fingerprint, key);
    }
  }

  /**
   * Takes a slot for a brief question about a new key while the breaker is open. The server may hang on keys that it doesn't
   * know, and so on control questions, but answer this one.
   */
  tryBrief(lane: Lane): boolean {
    const { maxConcurrency, sharesPromises } = this.#options;
    if (lane === 'high' || this.#breaker?.failure === undefined || this.#asksForPause || !sharesPromises) return false;
    if (this.#brief >= maxConcurrency * BRIEF_RATIO || !this.bulkhead.tryExceed(lane)) return false;
    this.#brief++;
    return true;
  }

  /** A brief question has its outcome. */
  endBrief(): void {
    this.#brief--;
  }

  /** Takes a slot for a question that began then, or waits for one; the failure if there is none. */
  async enter(lane: Lane, startedAt: number): Promise<VerifyFailure | undefined> {
    const { clock, timeoutMs } = this.#options;
    const enteredAt = clock.monotonic();
    const wasBlocked = this.blockedBy(enteredAt) !== undefined;
    // Of its time, a fleet or an answer that was invalidated may have taken some.
    const leftMs = (ms: number) => Math.max(0, startedAt + ms - clock.monotonic());
    const acquired = await this.bulkhead.acquire(lane, leftMs(timeoutMs * QUEUE_RATIO), () =>
      this.#lastAnswerAt < enteredAt
        ? 0
        : leftMs(Math.min(timeoutMs * LONG_QUEUE_RATIO, timeoutMs - ANSWERS_LEFT * this.#latestMs)),
    );
    const mono = clock.monotonic();
    if (!acquired) return new VerifyFailure('overloaded', OVERLOADED, { durationMs: mono - enteredAt });
    const blocked = wasBlocked ? undefined : this.blockedBy(mono);
    if (blocked !== undefined) this.bulkhead.release(lane);
    return blocked;
  }

  /**
   * The latency is that of the server: without the time for which our own event loop was late. `lane` is that of the question,
   * unless it was a control question.
   */
  recordAnswer(mono: number, sentAt: number, latencyMs: number, lane: Lane | undefined, calls: Calls): void {
    if (this.#lastAnswerAt === -Infinity) this.bulkhead.start();
    this.#breaker?.recordSuccess();
    this.#lastAnswerAt = mono;
    if (lane === 'high') this.#credit = Math.min(this.#credit + CREDIT_PER_ANSWER, MOST_CREDIT);
    if (lane !== undefined && mono < this.#pausedUntil) this.#pacers[lane].speedUp();
    this.#latestMs += (latencyMs - this.#latestMs) / 2;
    if (lane === undefined) {
      // It was sent last, so all that is asked is answered in time.
      this.#congestion.low.end(mono, sentAt);
      this.#congestion.high.end(mono, sentAt);
      // Keys that hang hold the slots, and the server doesn't shed load: in order of arrival, nothing is overtaken.
      if (calls.low.size > calls.low.sentSince(sentAt - this.#options.timeoutMs * OVERTAKES_RATIO))
        this.bulkhead.start();
      return;
    }
    const congestion = this.#congestion[lane];
    congestion.record(mono, sentAt, latencyMs, calls[lane]);
    if (!congestion.lasts(mono)) this.bulkhead.grow(lane);
  }

  /** `status` is that of the response, if there was one; `lateSince` says when it was asked, if there was none in time. */
  recordFailure(failure: VerifyFailure, mono: number, status?: number, lane?: Lane, lateSince?: number): void {
    const { kind, evidence, retryAfterMs } = failure;
    if (lane === undefined) this.#asksForPause = retryAfterMs !== undefined;
    // A firewall may answer a key of a caller's choice with any Retry-After, so that of a control question counts here.
    if (evidence !== 'none') this.#breaker?.recordFailure(failure, mono, lane === undefined ? retryAfterMs : undefined);
    // A key that the server can't stand is answered 500, and says nothing about its load.
    else if (status === 503 || status === 429) this.bulkhead.shed();
    else if (lane !== undefined && lateSince !== undefined) this.#reduce(lane, mono, lateSince);
    // Made-up keys may hold the breaker open, and come in between all others. A server that fails at once bears more of them,
    // unless it asks for a pause.
    if (lane === 'low' && this.#breaker?.failure !== undefined) {
      const isQuick = retryAfterMs === undefined && failure.durationMs < this.#options.timeoutMs * QUICK_RATIO;
      if (isQuick) this.#pacers.low.speedUp();
      else this.#pacers.low.slowDown();
    }
    if (kind !== 'rate_limited') return;
    if (lane === 'high') this.#credit /= 2;
    if (mono >= this.#pausedUntil) {
      // Each pause begins at the lowest rate.
      this.#pacers.low.slowDown(0);
      this.#pacers.high.slowDown(0);
    } else if (lane !== undefined) this.#pacers[lane].slowDown();
    this.#pausedUntil = Math.max(this.#pausedUntil, mono + Math.max(retryAfterMs ?? 0, DEFAULT_PAUSE_MS));
  }

  #reduce(lane: Lane, mono: number, lateSince: number): void {
    const congestion = this.#congestion[lane];
    const { capacity, isSilent } = congestion;
    const least = isSilent ? 1 : this.#options.maxConcurrency * LEAST_RATIO;
    if (congestion.endsRound(mono, lateSince)) this.bulkhead.reduceTo(capacity, least, lane);
  }

  #shared(until: number, mono: number, kind: FailureKind, message: string, because?: VerifyFailure): VerifyFailure {
    if (this.#blockedBy?.until !== until) {
      const cause = because?.cause instanceof Error ? because.cause : undefined;
      const details = { retryAfterMs: until - mono, evidence: because?.evidence, cause };
      this.#blockedBy = { until, failure: new VerifyFailure(kind, message, details) };
    }
    return this.#blockedBy.failure;
  }
}

const OVERLOADED = 'keyverify: too many questions wait for the key server, see maxConcurrency';
const RATE_LIMITED = 'keyverify: not asked: the key server limits our rate';
const CIRCUIT_OPEN = 'keyverify: not asked: the key server is down';
