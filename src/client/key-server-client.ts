import type { BreakerOptions, BreakerState } from '../core/breaker.js';
import type { AskEvent, AskOutcome } from '../core/events.js';
import { mayBeOutage, rulesOutOutage, VerifyFailure, type AttemptFailure, type Evidence } from '../core/failure.js';
import { Breaker } from '../resilience/breaker.js';
import { laneOf, type Lane } from '../resilience/bulkhead.js';
import { Deadline } from '../resilience/deadline.js';
import { LoopLag, NO_LAG, type LagWatch } from '../resilience/loop-lag.js';
import { ProbeTimer } from '../resilience/probe-timer.js';
import type { AttemptOutcome } from './attempt.js';
import { AmbiguousRejections } from './ambiguity.js';
import { controlOutcome, outcomeOf, type Asked, type KeyQuestion } from './question.js';
import { CONGESTED, EXHAUSTED, NO_SLOT } from './call-failures.js';
import { Calibration } from './calibration.js';
import { Call, type CallDeps, type CallOptions } from './call.js';
import { ControlCall } from './control-call.js';
import { ControlQuestions, type ControlResult } from './control.js';
import { OutageEvidence, type WatchedCall } from './evidence.js';
import { Gate } from './gate.js';
import { isOverloaded } from './overloaded.js';
import { LaneCalls } from './lane-calls.js';

export interface KeyServerClientOptions<Claims> extends CallOptions<Claims> {
  /** Origin and path of `verifyUrl`: what may be shown of it. */
  readonly publicUrl: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxConcurrency: number;
  readonly breaker: BreakerOptions | false;
  readonly controlKey: () => string;
  /** Asks about a known key in the background, although the gate refuses. */
  readonly refresh: (fingerprint: string, key: string) => void;
  readonly onBreaker: (state: BreakerState, failure: VerifyFailure | undefined) => void;
  readonly onControl: (failure: VerifyFailure | undefined, durationMs: number, result: ControlResult) => void;
  /** Called around each question that is asked. */
  readonly onAsk: <Asked>(
    event: AskEvent,
    ask: () => Promise<Asked>,
    toOutcome: (asked: Asked) => AskOutcome,
  ) => Promise<Asked>;
}

/** Asks the key server: gate, attempts, evidence. Its promises never reject. */
export class KeyServerClient<Claims> {
  readonly gate: Gate;
  readonly controls: ControlQuestions;
  readonly #options: KeyServerClientOptions<Claims>;
  readonly #deps: CallDeps;
  readonly #breaker: Breaker<VerifyFailure> | undefined;
  readonly #evidence: OutageEvidence;
  readonly #ambiguity = new AmbiguousRejections();
  readonly #calls = { high: new LaneCalls(), low: new LaneCalls() };
  readonly #lag: LoopLag;
  readonly #totals = { requests: 0, retries: 0 };
  readonly #calibration = new Calibration();
  readonly #probes: ProbeTimer | undefined;

  constructor(options: KeyServerClientOptions<Claims>, deps: CallDeps) {
    const { clock, timeoutMs, maxConcurrency, breaker, random, controlKey, refresh, onBreaker } = options;
    const { sharesPromises } = deps;
    this.#options = options;
    this.#deps = deps;
    if (breaker !== false)
      this.#breaker = new Breaker(breaker, random, (state, failure) => {
        if (state === 'open') this.#probes?.start();
        onBreaker(state, failure);
      });
    const probe = (openMs: number): void => this.controls.request(this.#evidence.probeMs(openMs), true);
    if (this.#breaker && sharesPromises) this.#probes = new ProbeTimer(clock, this.#breaker, probe);
    this.#lag = new LoopLag(clock);
    this.gate = new Gate({ clock, timeoutMs, maxConcurrency, random, sharesPromises, refresh }, this.#breaker);
    this.controls = new ControlQuestions({
      clock,
      timeoutMs,
      controlKey,
      ask: this.#askControl.bind(this),
      onResult: this.#recordControl.bind(this),
    });
    this.#evidence = new OutageEvidence({ clock, timeoutMs, maxConcurrency, sharesPromises }, this.controls);
  }

  get counts() {
    const { active, queued } = this.gate.bulkhead;
    return {
      active,
      queued,
      controls: this.controls.count,
      breaker: this.#breaker?.state ?? 'closed',
      ...this.#totals,
    };
  }

  /** When the key server last answered anybody, and how far control questions are believed. */
  get evidence(): Pick<OutageEvidence, 'lastAnswerAt' | 'trust'> {
    return this.#evidence;
  }

  /** Asks, unless the gate refuses; with `trickle`, although it does. */
  ask(question: KeyQuestion, trickle = false): Promise<Asked<Claims>> {
    const mono = this.#options.clock.monotonic();
    const lane = laneOf(question.isKnown);
    const blocked = trickle ? undefined : this.gate.blockedBy(mono);
    const isBrief = blocked !== undefined && !this.gate.isNext(question, mono, true);
    if (isBrief && !this.gate.tryBrief(lane)) return Promise.resolve(blocked);
    // What is asked during a pause is asked once.
    const retries = trickle || blocked !== undefined ? 0 : this.#options.retries;
    const ask = () => (isBrief ? this.#askBriefly(question, lane) : this.#ask(question, lane, retries));
    return this.#options.onAsk(question.event, ask, outcomeOf);
  }

  close(): void {
    this.#probes?.stop();
    this.controls.close();
  }

  /** A new key, while the breaker is open. Unless it is answered at once, the server is as down as before. */
  async #askBriefly(question: KeyQuestion, lane: Lane): Promise<Asked<Claims>> {
    const outcome = await this.#call(question, lane, 0, this.#evidence.hangsAfterMs);
    this.gate.endBrief();
    if (!(outcome instanceof VerifyFailure) || rulesOutOutage(outcome)) return outcome;
    return this.gate.blockedBy(this.#options.clock.monotonic()) ?? outcome;
  }

  /** Only a question that has to wait for a slot pays for the waiting. */
  #ask(question: KeyQuestion, lane: Lane, retries: number): Promise<Asked<Claims>> {
    const isFree = this.gate.bulkhead.tryAcquire(lane);
    return isFree ? this.#call(question, lane, retries) : this.#queue(question, lane, retries);
  }

  async #queue(question: KeyQuestion, lane: Lane, retries: number): Promise<Asked<Claims>> {
    if (this.gate.bulkhead.gainsFromLow(lane))
      this.#calls.low.makeRoom(this.#options.clock.monotonic(), this.#evidence);
    const failure = await this.gate.enter(lane, question.startedAt);
    return await (failure === undefined
      ? this.#call(question, lane, retries)
      : this.#refused(failure, question.startedAt));
  }

  /** `briefMs`: how long it may take, if not `timeoutMs`. */
  async #call(question: KeyQuestion, lane: Lane, retries: number, briefMs?: number): Promise<Asked<Claims>> {
    const { clock, timeoutMs } = this.#options;
    const { key, startedAt, wasGood, onSent } = question;
    this.#calibration.isNeeded ||= question.mayOpen;
    const ambiguity = this.#ambiguity;
    const deadline = new Deadline(clock, briefMs ?? timeoutMs, startedAt);
    const onSuspect = (): void => this.#suspect(call);
    // Where others are answered, and more are asked than the server bears, a retry would make it worse.
    const mayRetry = (): boolean =>
      !this.#isCongested &&
      !this.#evidence.isBacklogged &&
      !(this.gate.bulkhead.isFull(lane) && this.#evidence.answeredSince(call));
    const { suspectAfterMs } = this.#evidence;
    const context = { key, retries, deadline, suspectAfterMs, wasGood, ambiguity, onSent, onSuspect, mayRetry };
    const call = new Call(this.#options, this.#deps, context);
    // A brief question gives a server that is down no time to work on it, and so makes no backlog.
    const isBrief = briefMs !== undefined;
    if (!isBrief) this.#evidence.begin(call, startedAt);
    // Without a limit there is nothing to adapt.
    const lag = this.#options.maxConcurrency === Infinity ? NO_LAG : this.#watchLag();
    const held = { call, lag };
    this.#calls[lane].add(held);
    // Why a brief one got no answer makes no difference.
    const ended = this.#conclude(call, await call.run(), isBrief ? undefined : deadline);
    const outcome = ended instanceof Promise ? await ended : ended;
    const lagMs = lag.ms;
    lag.stop();
    this.gate.bulkhead.release(lane);
    this.#calls[lane].remove(held);
    if (!isBrief) this.#evidence.end(call, 'kind' in outcome ? outcome.kind : undefined);
    const { attempts, clockSkewMs } = call;
    if (!('kind' in outcome)) {
      const mono = clock.monotonic();
      const latencyMs = mono - outcome.askedAt.mono;
      if (lane === 'low' && outcome.result.valid) this.#evidence.overtake(outcome.askedAt.mono);
      this.#recordAnswer(mono, latencyMs, call.failedBefore(outcome), lagMs, lane, call);
      return { verdict: outcome, attempts, durationMs: mono - startedAt, clockSkewMs };
    }
    const isLate = outcome.kind === 'timeout' && this.#isOwnLoad(outcome);
    const failure = await this.#toFailure(isLate ? CONGESTED : outcome, call, deadline, startedAt);
    this.gate.recordFailure(failure, clock.monotonic(), outcome.status, lane, isLate ? call.firstSentAt : undefined);
    return failure;
  }

  /** An outage fills the queue, too: a question that got no slot waits on for evidence of one. */
  async #refused(failure: VerifyFailure, startedAt: number): Promise<VerifyFailure> {
    const { clock, timeoutMs } = this.#options;
    // What is refused at once has taken no time: a full queue, or a pause that began meanwhile.
    if (failure.durationMs === 0) return failure;
    const waiting = { firstSentAt: startedAt, attempts: 0 };
    this.#suspect(waiting);
    const noSlot = await this.#toFailure(NO_SLOT, waiting, new Deadline(clock, timeoutMs, startedAt), startedAt);
    return noSlot.evidence === 'none' ? failure : noSlot;
  }

  async #toFailure(
    outcome: AttemptFailure,
    call: WatchedCall & { readonly attempts: number },
    deadline: Deadline,
    startedAt: number,
  ): Promise<VerifyFailure> {
    const { attempts } = call;
    const evidence = mayBeOutage(outcome) ? await this.#confirm(outcome, call, deadline) : 'none';
    const durationMs = this.#options.clock.monotonic() - startedAt;
    return failed(outcome, attempts, durationMs, evidence);
  }

  #suspect(call: WatchedCall): void {
    // While the breaker is open, control questions have a schedule of their own.
    if (this.#breaker?.failure === undefined && !this.#isCongested) this.#evidence.suspect(call);
  }

  /** Whether more is in flight than the key server answers in time. */
  get #isCongested(): boolean {
    return this.gate.isCongested(this.#options.clock.monotonic());
  }

  /** Whether so many questions are in flight that they, and a control question, fail for this reason alone. */
  #isOwnLoad({ kind, unconnected }: AttemptFailure): boolean {
    return unconnected !== true && (this.#isCongested || (kind === 'timeout' && this.#evidence.isBacklogged));
  }

  async #confirm(outcome: AttemptFailure, call: WatchedCall, deadline: Deadline): Promise<Evidence> {
    const open = this.#breaker?.failure;
    if (this.#isOwnLoad(outcome)) return 'none';
    if (open === undefined) return await this.#evidence.confirm(call, outcome, deadline);
    return this.#evidence.answeredSince(call) ? 'none' : open.evidence;
  }

  /**
   * Counts a call that has ended. Where nothing gets through because this process is out of threads or descriptors, that is
   * what failed.
   */
  #conclude(call: Call<Claims>, outcome: AttemptOutcome<Claims>, deadline?: Deadline): Concluded<Claims> {
    this.#totals.requests += call.attempts;
    this.#totals.retries += Math.max(0, call.attempts - 1);
    // A connection that was reset had been made.
    const isSilent = 'kind' in outcome && (outcome.kind === 'timeout' || outcome.unconnected === true);
    if (!isSilent || deadline === undefined) return outcome;
    return isOverloaded(this.#deps.transport, deadline).then((overloaded) => (overloaded ? EXHAUSTED : outcome));
  }

  #recordAnswer(mono: number, latencyMs: number, failed: number, lagMs = 0, lane?: Lane, call?: WatchedCall): void {
    this.#evidence.recordAnswer(mono, latencyMs, failed, call);
    this.gate.recordAnswer(mono, mono - latencyMs, Math.max(0, latencyMs - lagMs), lane, this.#calls);
    // It may have been an outage that is over: another control question tells.
    this.#calibration.isNeeded ||= this.#evidence.trust.controlsFail;
    // Only a few keys may be slow: a control question that is answered ends the congestion.
    if (this.gate.isCongested(mono) || (!this.#evidence.trust.isCalibrated && this.#calibration.isDue(mono, !call)))
      this.controls.request();
  }

  #askControl(key: string, timeoutMs: number, isRepeat: boolean) {
    const { clock, publicUrl, onAsk } = this.#options;
    const deadline = new Deadline(clock, timeoutMs);
    const call = new Call(this.#options, this.#deps, {
      key,
      retries: 0,
      deadline,
      // After an outage, old connections may be of no use.
      sendOptions: isRepeat || this.#breaker?.failure !== undefined ? { fresh: true } : { reserved: true },
      ambiguity: this.#ambiguity,
    });
    const control = new ControlCall(call, timeoutMs, clock, this.#watchLag());
    const ask = async (): Promise<AttemptFailure | undefined> =>
      control.settle(await this.#conclude(call, await call.run(), deadline));
    const event: AskEvent = { purpose: 'control', url: publicUrl };
    const result = onAsk(event, ask, (failure) => controlOutcome(failure, call.attempts, control.ageMs));
    return Object.assign(control, { result });
  }

  /** On isolates no timer runs for others. */
  #watchLag(): LagWatch {
    return this.#deps.sharesPromises ? this.#lag.watch() : NO_LAG;
  }

  #recordControl(result: ControlResult): void {
    const { durationMs, failure } = result;
    const mono = result.sentAt + durationMs;
    const evidence = failure !== undefined && this.#isOwnLoad(failure) ? 'none' : this.#evidence.recordControl(result);
    if (failure === undefined) {
      this.#recordAnswer(mono, durationMs, 0);
      this.#options.onControl(undefined, durationMs, result);
      return;
    }
    const outcome = failed(failure, 1, durationMs, evidence);
    if (evidence !== 'none') this.gate.recordFailure(outcome, mono, failure.status);
    else if (rulesOutOutage(failure)) this.#breaker?.recordSuccess();
    this.#options.onControl(outcome, durationMs, result);
  }
}

function failed(failure: AttemptFailure, attempts: number, durationMs: number, evidence: Evidence): VerifyFailure {
  return new VerifyFailure(failure.kind, failure.message, { ...failure, attempts, durationMs, evidence });
}

type Concluded<Claims> = AttemptOutcome<Claims> | Promise<AttemptOutcome<Claims>>;
