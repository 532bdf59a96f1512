import type { Clock } from '../core/clock.js';
import { mayBeOutage, rulesOutOutage, type AttemptFailure, type Evidence, type FailureKind } from '../core/failure.js';
import { Backlog } from '../resilience/backlog.js';
import type { Deadline } from '../resilience/deadline.js';
import { LinkedList, type Linked } from '../resilience/linked-list.js';
import { isOwnLag } from '../resilience/loop-lag.js';
import { CONTROL_INTERVAL_MS, type ControlQuestions, type ControlResult } from './control.js';

/** A question that is being asked, as far as evidence needs to know it. */
export interface WatchedCall extends Linked<WatchedCall> {
  /** When its first request was sent, on the monotonic clock. */
  readonly firstSentAt: number | undefined;
  /** How many questions had begun before. Set by `begin()`. */
  order?: number | undefined;
  /** How many questions were in flight then. Set by `begin()`. */
  ahead?: number | undefined;
}

export interface EvidenceOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxConcurrency: number;
  /** Whether a promise made for one caller may be awaited by another, see `#platform`. */
  readonly sharesPromises: boolean;
}

/** An answer that takes so many times as long as usual is unusual. */
const UNUSUAL_FACTOR = 3;

/** A control question that is not answered counts once it has waited for this part of `timeoutMs`. */
const HANG_RATIO = 0.45;

/** How often a caller looks for evidence where callers can't wait for each other, in milliseconds. */
const POLL_MS = 10;

/** Below this ratio of failed attempts the server is not flaky, and one failed control question is enough. */
const FLAKY_RATIO = 0.02;
/** The accepted probability that a flaky server is taken for one that is down. */
const FALSE_ALARM = 1e-4;
const MOST_CONTROLS = 8;

/** Where callers are answered, but no control question, nobody has to be answered for so long, in milliseconds, to prove anything. */
const QUIET_MS = 5000;

/** A caller was answered in what looked like an outage: it is over if so many control questions in a row are answered then. */
const CONFIRMATIONS = 2;

/** Up to so many control questions that fail in a row before a caller is answered may have had bad luck. */
const MOST_FAILURES = 3;

/** Up to this part of `maxConcurrency`, requests in flight are never a backlog. */
const FEW_RATIO = 1 / 8;

/** Averages are taken over this many answers. The first ones weigh more. */
const WINDOW = 32;
const FIRST_WEIGHT = 8;

/** The longest answer counts for this much less with each new one: half after 22 answers. */
const LONGEST_DECAY = 1 - 1 / 32;

/**
 * Tells an outage from a failure that a caller's key brings about. A question's failure is evidence of an outage only if
 * the server has given no verdict to anybody since the question was sent, and a control question failed, too.
 */
export class OutageEvidence {
  readonly #options: EvidenceOptions;
  readonly #controls: ControlQuestions;
  readonly #calls = new LinkedList<WatchedCall>();
  readonly #backlog: Backlog;
  readonly #hangMs: number;
  #begun = 0;
  readonly #waiting = new Set<() => void>();
  #lastAnswerAt = -Infinity;
  #controlAnswered = false;
  #failedInRow = 0;
  #contradicted = false;
  /** How many control questions have yet to be answered since a caller was, in what they had shown to be an outage. */
  #unconfirmed = 0;
  /** So many control questions must be answered in a row before they prove an outage again. */
  #untilTrusted = 1;
  #mostUntilTrusted = 1;
  #usualMs = 0;
  /** How long the server works on one question, in milliseconds: the latency divided by the questions in flight meanwhile. */
  #workMs = 0;
  #latestMs = 0;
  /** The longest recent latency. Fades with each answer. */
  #longestMs = 0;
  #answers = 0;
  #failureRatio = 0;
  #observed = 0;

  constructor(options: EvidenceOptions, controls: ControlQuestions) {
    this.#options = options;
    this.#controls = controls;
    this.#hangMs = options.timeoutMs * HANG_RATIO;
    this.#backlog = new Backlog(options.timeoutMs, options.maxConcurrency * FEW_RATIO);
  }

  /** When the latest verdict came, on the monotonic clock; `-Infinity` if none has come yet. */
  get lastAnswerAt(): number {
    return this.#lastAnswerAt;
  }

  /** How long an answer takes, in milliseconds, as an average. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** From when on the wait for an answer is unusual, in milliseconds: where requests queue at the server, the latest one tells. */
  get unusualMs(): number {
    return UNUSUAL_FACTOR * Math.max(this.#usualMs, this.#latestMs);
  }

  /** Whether a control question was ever answered: a server may answer 500 to every key that it doesn't know. */
  get isCalibrated(): boolean {
    return this.#controlAnswered;
  }

  /** Whether callers were answered although a control question had failed, and none was ever answered. */
  get controlsFail(): boolean {
    return this.#contradicted && !this.#controlAnswered;
  }

  /** Whether the server has answered somebody since this question was sent: its failure is then its own. */
  answeredSince({ firstSentAt }: WatchedCall): boolean {
    return firstSentAt !== undefined && this.#lastAnswerAt > firstSentAt;
  }

  /** Whether nobody is answered because the server may still be working on a burst. */
  get isBacklogged(): boolean {
    return this.#backlog.lasts(this.#options.clock.monotonic(), this.#workMs);
  }

  begin(call: WatchedCall, mono: number): void {
    this.#backlog.add(mono);
    call.order = this.#begun++;
    call.ahead = this.#calls.size;
    this.#calls.add(call);
  }

  /** A question has its outcome. `failure`: its kind, if it failed. */
  end(call: WatchedCall, failure?: FailureKind): void {
    // The server may still be working on a question that was given up.
    if (failure !== 'timeout' && failure !== 'overloaded') this.#backlog.drop();
    this.#calls.remove(call);
    this.#wake();
  }

  /** A question failed as it would in an outage, or takes long. */
  suspect(call: WatchedCall): void {
    if (!this.answeredSince(call)) this.#controls.request();
  }

  /** The server gave a verdict, after so many failed attempts. */
  recordAnswer(mono: number, latencyMs: number, failedAttempts: number, call?: WatchedCall): void {
    // A server that goes down may still answer what it was asked before.
    const isOld = (call?.firstSentAt ?? Infinity) < (this.#controls.last?.sentAt ?? -Infinity);
    const isDisputed = call && !isOld && this.#controlAnswered && this.#failedInRow >= this.#needed;
    if (isDisputed) {
      this.#unconfirmed = CONFIRMATIONS;
      this.#controls.request();
    }
    // More were an outage, which is over. It mostly ends with a control question that is answered.
    const most = call ? MOST_FAILURES : 1;
    const failures = isDisputed || this.#failedInRow > most ? 0 : (!isOld && this.#failedInRow) || failedAttempts;
    for (let failure = 0; failure < failures; failure++) this.#observe(1);
    this.#observe(0);
    this.#contradicted ||= this.#failedInRow > 0;
    const answers = Math.min(++this.#answers, WINDOW);
    this.#usualMs += (latencyMs - this.#usualMs) / answers;
    this.#workMs += (latencyMs / this.#overlapping(call) - this.#workMs) / answers;
    this.#lastAnswerAt = mono;
    this.#latestMs = latencyMs;
    // Shorter ones make no difference to `confirm()`.
    if (latencyMs > this.#hangMs || this.#longestMs > this.#hangMs)
      this.#longestMs = Math.max(latencyMs, this.#longestMs * LONGEST_DECAY);
    this.#backlog.recordAnswer(mono, this.#calls.size);
    this.#failedInRow = 0;
    this.#wake();
  }

  /** Returns the evidence that a failed control question is by itself. */
  recordControl({ sentAt, failure }: ControlResult): Evidence {
    if (failure === undefined) {
      this.#unconfirmed--;
      if (--this.#untilTrusted <= 0) this.#controlAnswered = true;
    } else if (rulesOutOutage(failure)) {
      this.#failedInRow = 0;
      this.#unconfirmed = 0;
    }
    // Where others are answered, it is no sign of an outage.
    else if (mayBeOutage(failure) && this.#lastAnswerAt <= sentAt) {
      this.#failedInRow++;
      if (this.#unconfirmed > 0) this.#distrust();
      this.#untilTrusted = this.#mostUntilTrusted;
    }
    if (this.#unconfirmed > 0) this.#controls.request();
    this.#wake();
    return this.#failedInRow >= this.#needed ? this.#grade(failure, failure) : 'none';
  }

  /** Whether a failed question, which has ended, is evidence of an outage. Waits, within its deadline, for what can still be found out. */
  async confirm(call: WatchedCall, failure: AttemptFailure, deadline: Deadline): Promise<Evidence> {
    if (call.firstSentAt === undefined) return 'none';
    // Some of those that were sent with it may yet be answered: a server that sheds load refuses faster than it answers.
    const begun = this.#begun;
    for (;;) {
      if (this.answeredSince(call)) return 'none';
      const isOver = deadline.leftMs <= 0;
      if (isOver || (this.#calls.oldest?.order ?? begun) >= begun) {
        const evidence = this.#controlEvidence(call.firstSentAt, failure, isOver);
        if (evidence !== undefined) return evidence;
        if (isOver) return 'none';
        this.#controls.request();
      }
      await this.#change(deadline);
    }
  }

  /** What control questions say about a question that was sent at `sentAt`; `undefined` while that is open. */
  #controlEvidence(sentAt: number, failure: AttemptFailure, isOver: boolean): Evidence | undefined {
    const { last, pending } = this.#controls;
    const isRecent = last !== undefined && last.sentAt >= sentAt - CONTROL_INTERVAL_MS;
    if (last?.failure === undefined && (last?.sentAt ?? -Infinity) >= sentAt) return 'none';
    if (isRecent && last.failure !== undefined) {
      if (!mayBeOutage(last.failure)) return 'none';
      if (this.#failedInRow >= this.#needed) return this.#grade(failure, last.failure);
    }
    if (!isOver || pending?.isSent !== true || this.#failedInRow + 1 < this.#needed) return undefined;
    const age = this.#options.clock.monotonic() - pending.sentAt;
    // Where another one has failed already, and nobody was answered since, a slow server needs no more time.
    const isLong = this.#failedInRow > 0 || age >= Math.max(2 * this.#usualMs, this.#longestMs);
    const hangs = age >= this.#hangMs && isLong && !isOwnLag(pending.lagMs, age);
    return hangs ? this.#grade(failure, undefined) : undefined;
  }

  /**
   * A server may limit how many unknown keys it is asked about, and answer good ones: then callers decide how a control question
   * ends. Each time that it happens takes longer to forget.
   */
  #distrust(): void {
    this.#unconfirmed = 0;
    this.#controlAnswered = false;
    this.#mostUntilTrusted = Math.min(2 * this.#mostUntilTrusted, MOST_CONTROLS);
  }

  #grade(failure: AttemptFailure | undefined, control: AttemptFailure | undefined): Evidence {
    // Without a connection, no key has left this process, so none can be the reason.
    const unconnected = failure?.unconnected === true && control?.unconnected === true;
    const quietMs = this.#options.clock.monotonic() - this.#lastAnswerAt;
    if (this.#controlAnswered || unconnected || quietMs === Infinity) return 'proven';
    return this.controlsFail && quietMs < QUIET_MS ? 'none' : 'unproven';
  }

  /** How many control questions in a row must fail: a flaky server fails some by chance. */
  get #needed(): number {
    if (this.#failureRatio < FLAKY_RATIO) return 1;
    return Math.min(Math.ceil(Math.log(FALSE_ALARM) / Math.log(this.#failureRatio)), MOST_CONTROLS);
  }

  /** How many questions were in flight together with this one, or with the control question, itself included. */
  #overlapping(call: WatchedCall | undefined): number {
    if (call?.order === undefined || call.ahead === undefined) return this.#calls.size + 1;
    return call.ahead + this.#begun - call.order;
  }

  get #weight(): number {
    return 1 / Math.min(this.#observed + FIRST_WEIGHT, WINDOW);
  }

  #observe(failed: 0 | 1): void {
    this.#failureRatio += (failed - this.#failureRatio) * this.#weight;
    this.#observed++;
  }

  #wake(): void {
    // V8 makes a new table for each `clear()`.
    if (this.#waiting.size === 0) return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #change(deadline: Deadline): Promise<void> {
    if (!this.#options.sharesPromises) {
      await deadline.race(new Promise<never>(() => undefined), Math.min(POLL_MS, deadline.leftMs));
      return;
    }
    let wake!: () => void;
    const change = new Promise<void>((resolve) => (wake = resolve));
    this.#waiting.add(wake);
    // After a time-out its entry stays only until the next change.
    await deadline.race(change);
  }
}
