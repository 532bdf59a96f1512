import type { Clock } from '../core/clock.js';
import { mayBeOutage, type AttemptFailure, type Evidence, type FailureKind } from '../core/failure.js';
import { Backlog } from '../resilience/backlog.js';
import type { Deadline } from '../resilience/deadline.js';
import { LinkedList, type Linked } from '../resilience/linked-list.js';
import { isOwnLag } from '../resilience/loop-lag.js';
import { ControlTrust } from './control-trust.js';
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
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
}

/** How many times as long as usual an answer takes that is unusual. */
const UNUSUAL_FACTOR = 3;

/**
 * The part of `timeoutMs` after which a wait is suspicious, if it is longer than usual: a slow server has time for the control.
 */
const EARLIEST_SUSPICION = 0.25;

/** The part of `timeoutMs` within which no question hangs. */
const QUICK_RATIO = 1 / 8;

/** The part of `timeoutMs` after which a control question that is not answered counts. */
const HANG_RATIO = 0.45;

/** While the breaker is open, a control question gets less time: one that hangs must not delay the next one. */
const PROBE_TIMEOUT_MS = 1200;

/** After an outage of that length the server may be slower than before, so a control question gets all the time. */
const LONG_OUTAGE_MS = 10_000;

/** How often a caller looks for evidence where callers can't wait for each other, in milliseconds. */
const POLL_MS = 10;

/**
 * For how long nobody has to be answered to prove anything, in milliseconds, where callers are answered, but no control
 * question.
 */
const QUIET_MS = 5000;

/** Up to so many requests in flight, or this part of a lower `maxConcurrency`, are never a backlog. */
const FEW = 8;
const FEW_RATIO = 1 / 8;

/** Three control questions that hang while callers get responses, though no verdicts, count for one. */
const DOUBTFUL_WEIGHT = 1 / 3;

/** Over how many answers averages are taken. */
const WINDOW = 32;

/** The longest answer counts for this much less with each new one: half after 22 answers. */
const LONGEST_DECAY = 1 - 1 / 32;

/**
 * Tells an outage from a failure that a caller's key brings about. A question's failure is evidence of an outage only if
 * the server has given no verdict to anybody since the question was sent, and a control question failed, too.
 */
export class OutageEvidence {
  /** How far control questions are believed. */
  readonly trust = new ControlTrust();
  readonly #options: EvidenceOptions;
  readonly #controls: ControlQuestions;
  readonly #calls = new LinkedList<WatchedCall>();
  readonly #backlog: Backlog;
  readonly #hangMs: number;
  #begun = 0;
  readonly #waiting = new Set<() => void>();
  #lastAnswerAt = -Infinity;
  #usualMs = 0;
  /** How long the server works on one question, in milliseconds: the latency divided by the questions in flight meanwhile. */
  #workMs = 0;
  #latestMs = 0;
  /** How long the latest control question took that was answered. */
  #controlMs = 0;
  /** When the latest question was sent that overtook those before it. */
  #overtakenUntil = -Infinity;
  /** When the latest question was sent that got a response, though no verdict. */
  #respondedUntil = -Infinity;
  /** The longest recent latency. Fades with each answer. */
  #longestMs = 0;
  #answers = 0;
  /** When the latest control question was sent that has ended, or hung for long enough to show an outage. */
  #controlSentAt = -Infinity;

  constructor(options: EvidenceOptions, controls: ControlQuestions) {
    this.#options = options;
    this.#controls = controls;
    this.#hangMs = options.timeoutMs * HANG_RATIO;
    // On isolates, a question whose request was ended would count for ever.
    const few = options.sharesPromises ? Math.min(FEW, options.maxConcurrency * FEW_RATIO) : Infinity;
    this.#backlog = new Backlog(options.timeoutMs, few);
  }

  /** When the latest verdict came, on the monotonic clock; `-Infinity` if none has come yet. */
  get lastAnswerAt(): number {
    return this.#lastAnswerAt;
  }

  /** How long an answer takes on average, in milliseconds. Answers that were overtaken don't count. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** From when on the wait for an answer is unusual, in milliseconds: where requests queue at the server, the latest one tells. */
  get unusualMs(): number {
    return UNUSUAL_FACTOR * Math.max(this.#usualMs, this.#latestMs);
  }

  /** From when on a wait is suspicious, in milliseconds. */
  get suspectAfterMs(): number {
    const { timeoutMs } = this.#options;
    return Math.max(timeoutMs * EARLIEST_SUSPICION, Math.min(this.unusualMs, timeoutMs / 2));
  }

  /** How long a control question may take while the breaker is open, as it has been for `openMs`; in milliseconds. */
  probeMs(openMs: number): number {
    const { timeoutMs } = this.#options;
    return openMs > LONG_OUTAGE_MS ? timeoutMs : Math.min(timeoutMs, Math.max(PROBE_TIMEOUT_MS, 2 * this.#usualMs));
  }

  /** After how many milliseconds a question hangs, where others are answered. */
  get hangsAfterMs(): number {
    const { timeoutMs } = this.#options;
    return Math.min(timeoutMs, Math.max(timeoutMs * QUICK_RATIO, this.unusualMs));
  }

  /** Whether a question that hangs is no sign of an outage: the server has answered others, or hangs on unknown keys. */
  isNoSign(call: WatchedCall): boolean {
    return this.trust.controlsFail || this.answeredSince(call);
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

  /**
   * A control question was answered, or a new key verified, of which callers have few. What was sent before it and is answered
   * later doesn't wait in a queue: it is slow by itself.
   */
  overtake(sentAt: number): void {
    this.#overtakenUntil = Math.max(this.#overtakenUntil, sentAt);
  }

  /** The server gave a verdict, after so many failed attempts. */
  recordAnswer(mono: number, latencyMs: number, failedAttempts: number, call?: WatchedCall): void {
    // A server that goes down may still answer what it was asked before.
    const isOld = (call?.firstSentAt ?? Infinity) < this.#controlSentAt;
    this.trust.recordAnswer(mono, failedAttempts, call && (isOld ? 'before' : 'after'));
    if (this.trust.isDisputed) this.#controls.request();
    if (!call) {
      this.overtake(mono - latencyMs);
      this.#controlMs = latencyMs;
    }
    // The quicker one of the first two stands for both: they had to wait for connections.
    const countedMs = this.#answers === 1 ? Math.min(latencyMs, this.#latestMs) : latencyMs;
    const answers = Math.min(this.#answers++, WINDOW) || 1;
    if (mono - latencyMs >= this.#overtakenUntil) {
      this.#usualMs += (countedMs - this.#usualMs) / answers;
      this.#latestMs = latencyMs;
    }
    // Keys on which the server hangs may not keep it busy at all. A control question that is answered quickly beside many of
    // them shows that, so it counts for half of the average.
    this.#workMs += (countedMs / this.#overlapping(call) - this.#workMs) / (call ? answers : Math.min(answers, 2));
    this.#lastAnswerAt = mono;
    // Shorter ones make no difference to `confirm()`.
    if (latencyMs > this.#hangMs || this.#longestMs > this.#hangMs)
      this.#longestMs = Math.max(latencyMs, this.#longestMs * LONGEST_DECAY);
    this.#backlog.recordAnswer(mono, this.#calls.size);
    this.#wake();
  }

  /** Returns the evidence that a failed control question is by itself. */
  recordControl(result: ControlResult): Evidence {
    const { sentAt, failure } = result;
    this.#controlSentAt = sentAt;
    this.trust.recordControl(result, this.#lastAnswerAt > sentAt ? 0 : this.#weightOf(result));
    if (this.trust.isDisputed) this.#controls.request();
    this.#wake();
    return this.trust.isOutage() ? this.#grade(failure, failure) : 'none';
  }

  /** Whether a failed question, which has ended, is evidence of an outage. Waits, within its deadline, for what can still be found out. */
  async confirm(call: WatchedCall, failure: AttemptFailure, deadline: Deadline): Promise<Evidence> {
    if (call.firstSentAt === undefined) return 'none';
    if (failure.status !== undefined) this.#respondedUntil = Math.max(this.#respondedUntil, call.firstSentAt);
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
    if (last && !last.failure && last.sentAt >= sentAt) return 'none';
    if (isRecent && last.failure !== undefined) {
      if (!mayBeOutage(last.failure)) return 'none';
      if (this.trust.isOutage()) return this.#grade(failure, last.failure);
    }
    if (!isOver || pending?.isSent !== true || !this.trust.isOutage(this.#weightOf(pending))) return undefined;
    const age = this.#options.clock.monotonic() - pending.sentAt;
    // Where another one has failed already, and nobody was answered since, a slow server needs no more time.
    const slowMs = Math.max(2 * this.#usualMs, 2 * this.#controlMs, this.#longestMs);
    const isLong = this.trust.failedInRow > 0 || age >= slowMs;
    const hangs = age >= this.#hangMs && isLong && !isOwnLag(pending.lagMs, age);
    if (!hangs) return undefined;
    // It counts as one that failed, also if callers are answered before it does.
    this.trust.failedInRow ||= 1;
    this.#controlSentAt = pending.sentAt;
    return this.#grade(failure, undefined);
  }

  /**
   * How much a control question counts that fails. One that hangs while callers get responses may be at a backend that hangs,
   * one of several, and callers may be using keys on which the others fail.
   */
  #weightOf({ sentAt, failure }: Pick<ControlResult, 'sentAt'> & Partial<ControlResult>): number {
    return this.#respondedUntil > sentAt && (!failure || failure.kind === 'timeout') ? DOUBTFUL_WEIGHT : 1;
  }

  #grade(failure: AttemptFailure | undefined, control: AttemptFailure | undefined): Evidence {
    // Without a connection, no key has left this process, so none can be the reason.
    const unconnected = failure?.unconnected === true && control?.unconnected === true;
    const quietMs = this.#options.clock.monotonic() - this.#lastAnswerAt;
    if (this.trust.isCalibrated || unconnected || quietMs === Infinity) return 'proven';
    return this.trust.controlsFail && quietMs < QUIET_MS ? 'none' : 'unproven';
  }

  /** How many questions were in flight together with this one, or with the control question, itself included. */
  #overlapping(call: WatchedCall | undefined): number {
    if (call?.order === undefined || call.ahead === undefined) return this.#calls.size + 1;
    return call.ahead + this.#begun - call.order;
  }

  #wake(): void {
    // V8 makes a new table for each `clear()`.
    if (this.#waiting.size === 0) return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #change(deadline: Deadline): Promise<void> {
    const { sharesPromises } = this.#options;
    // After a timeout its entry stays only until the next change.
    const change = new Promise<void>((resolve) => sharesPromises && this.#waiting.add(resolve));
    await deadline.race(change, Math.min(deadline.leftMs, sharesPromises ? Infinity : POLL_MS));
  }
}
