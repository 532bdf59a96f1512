import type { Instant } from '../core/clock.js';
import type { Verdict } from '../cache/verdict-cache.js';
import { VerifyFailure, type AttemptFailure } from '../core/failure.js';
import type { Rejected, Verified } from '../core/result.js';
import { Breaker, type BreakerSettings, type BreakerState } from '../resilience/breaker.js';
import { Deadline } from '../resilience/deadline.js';
import { Call, type CallOptions, type CallDeps } from './call.js';
import { Bulkhead } from '../resilience/bulkhead.js';
import { strangerProblem } from '../transport/classify.js';

export interface KeyServerClientOptions<Claims> extends CallOptions<Claims> {
  readonly timeoutMs: number;
  readonly maxConcurrency: number;
  readonly breaker: BreakerSettings | false;
  readonly onBreakerChange: (state: BreakerState, failure?: VerifyFailure) => void;
}

/** One question to the key server, and who is to hear of it. */
export interface Question<Claims> {
  readonly key: string;
  /** Whether this key was good when it was last asked about: such questions go before those about unknown keys. */
  readonly known: boolean;
  /** Hears when a request leaves, and (`undefined`) when the answer to it is no longer waited for. */
  readonly onSend: (at: Instant | undefined) => void;
  /** Hears the verdict as soon as it is there, also from a probe that nobody waited for. */
  readonly onVerdict: (verdict: Verdict<Claims>, askedAt: Instant, took: CallStats) => void;
  /** Keeps work going that nobody waits for. Without it, whoever asks waits for the probe. */
  readonly background: ((work: Promise<unknown>) => void) | undefined;
}

type Outcome<Claims> = Verified<Claims> | Rejected | VerifyFailure;

/** What an answer cost. */
export interface CallStats {
  readonly attempts: number;
  readonly durationMs: number;
}

/** How a question came to be asked. */
interface CallContext {
  readonly startedAt: number;
  /** Whether it had to wait for a free slot. */
  readonly queued: boolean;
  readonly permit: 'ask' | 'probe';
}

/** How long a 429 without a `Retry-After` keeps us quiet, in milliseconds. */
const RATE_LIMIT_REST_MS = 1000;

/**
 * So much of its time may a question wait for a slot. Without a share that is left for the answer, a queue that is longer
 * than the server is quick would ask every question just before its end, and so in vain.
 */
const SHARE_TO_WAIT = 0.5;

const OVERLOADED: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: too many questions wait for the key server already, see maxConcurrency',
};

/** The way to the key server: concurrency limit, circuit breaker, one deadline. Its promises never reject. */
export class KeyServerClient<Claims> {
  readonly #settings: KeyServerClientOptions<Claims>;
  readonly #means: CallDeps;
  readonly #limit: Bulkhead;
  readonly #breaker: Breaker | undefined;
  /** The monotonic time up to which the server wants to be left alone, having answered 429. */
  #restUntil = -Infinity;
  /** What those hear who would ask while it is left alone, and until when. */
  #silence: { readonly until: number; readonly failure: VerifyFailure } | undefined;
  /** Whether the server has ever answered. */
  #answered = false;

  constructor(settings: KeyServerClientOptions<Claims>, means: CallDeps) {
    const { maxConcurrency, clock, breaker, timeoutMs, random, onBreakerChange } = settings;
    this.#settings = settings;
    this.#means = means;
    this.#limit = new Bulkhead(maxConcurrency, clock);
    if (breaker !== false) this.#breaker = new Breaker(breaker, timeoutMs, random, onBreakerChange);
  }

  get breakerState(): BreakerState {
    return this.#breaker?.state ?? 'closed';
  }

  /** How many questions are being asked, and how many wait for their turn. */
  get load(): { readonly asking: number; readonly waiting: number } {
    return { asking: this.#limit.active, waiting: this.#limit.queued };
  }

  /** What asking would come to right now, if it would come to nothing: found out without asking, made once for all. */
  silence(mono: number): VerifyFailure | undefined {
    const until = Math.max(this.#restUntil, this.#breaker?.openUntil ?? -Infinity);
    if (this.#silence?.until !== until) {
      const problem = this.#leftAlone(mono);
      if (problem === undefined) return undefined;
      this.#silence = { until, failure: this.#failure(problem, mono, 0) };
    }
    return mono < until ? this.#silence.failure : undefined;
  }

  ask(question: Question<Claims>): Promise<Outcome<Claims>> {
    const startedAt = this.#settings.clock.monotonic();
    const leftAlone = this.#leftAlone(startedAt);
    if (leftAlone !== undefined) return Promise.resolve(this.#failure(leftAlone, startedAt, 0));
    return this.#limit.tryAcquire() ? this.#take(question, startedAt, false) : this.#queue(question, startedAt);
  }

  async #queue(question: Question<Claims>, startedAt: number): Promise<Outcome<Claims>> {
    const lane = question.known ? 'known' : 'unknown';
    const admitted = await this.#limit.acquire(lane, this.#settings.timeoutMs * SHARE_TO_WAIT);
    return admitted ? await this.#take(question, startedAt, true) : this.#failure(OVERLOADED, startedAt, 0);
  }

  /** Asks by a slot that is taken, if nothing speaks against it by now. */
  #take(question: Question<Claims>, startedAt: number, queued: boolean): Promise<Outcome<Claims>> {
    const permit = this.#permit();
    if (typeof permit === 'object') {
      this.#limit.release();
      return Promise.resolve(this.#failure(permit, startedAt, 0));
    }
    const inquiry = this.#inquire(question, { startedAt, queued, permit });
    if (permit === 'ask' || question.background === undefined) return inquiry;
    question.background(inquiry);
    return Promise.resolve(this.#failure(circuitOpen(undefined), startedAt, 0));
  }

  async #inquire(question: Question<Claims>, { startedAt, queued, permit }: CallContext): Promise<Outcome<Claims>> {
    const { clock, timeoutMs } = this.#settings;
    const inquiry = new Call(this.#settings, this.#means, question.key, question.onSend);
    const outcome = await inquiry.run(new Deadline(clock, timeoutMs, startedAt));
    this.#limit.release();
    this.#answered ||= inquiry.answered;
    if ('kind' in outcome) {
      const failure = this.#failure(this.#judge(outcome, queued), startedAt, inquiry.attempts);
      this.#account(failure, permit);
      return failure;
    }
    this.#breaker?.succeed();
    const durationMs = clock.monotonic() - startedAt;
    question.onVerdict(outcome, outcome.askedAt, { attempts: inquiry.attempts, durationMs });
    return outcome.result;
  }

  /** Whether it is the server that is out: whoever says so may open. */
  #judge(problem: AttemptFailure, queued: boolean): AttemptFailure {
    // The queue ate of its time, and a flood of made-up keys can fill the queue.
    if (queued && problem.kind === 'timeout') return OVERLOADED;
    return this.#answered ? problem : strangerProblem(problem, this.#settings.verifyUrl);
  }

  /** Why the key server isn't to be asked, if it isn't. */
  #leftAlone(mono: number): AttemptFailure | undefined {
    const openMs = (this.#breaker?.openUntil ?? -Infinity) - mono;
    return this.#rateLimit(mono) ?? (openMs > 0 ? circuitOpen(openMs) : undefined);
  }

  #rateLimit(mono: number): AttemptFailure | undefined {
    if (mono >= this.#restUntil) return undefined;
    return {
      kind: 'rate_limited',
      message: 'keyverify: the key server limits our rate and is left alone for a while',
      retryAfterMs: this.#restUntil - mono,
    };
  }

  #permit(): 'ask' | 'probe' | AttemptFailure {
    const mono = this.#settings.clock.monotonic();
    const permit = this.#rateLimit(mono) ?? this.#breaker?.permit(mono) ?? 'ask';
    return typeof permit === 'object' && !('kind' in permit) ? circuitOpen(permit.retryAfterMs) : permit;
  }

  #account(failure: VerifyFailure, permit: 'ask' | 'probe'): void {
    const mono = this.#settings.clock.monotonic();
    if (failure.isOutage) this.#breaker?.fail(failure, mono, permit);
    // Without a request, or with our own means at an end, nothing is known of the server; else it is there.
    else if (failure.attempts > 0 && failure.kind !== 'overloaded') this.#breaker?.succeed();
    if (failure.kind === 'rate_limited') this.#restUntil = mono + (failure.retryAfterMs ?? RATE_LIMIT_REST_MS);
  }

  #failure({ kind, message, cause, retryAfterMs }: AttemptFailure, startedAt: number, attempts: number): VerifyFailure {
    const durationMs = this.#settings.clock.monotonic() - startedAt;
    return new VerifyFailure(kind, message, { cause, retryAfterMs, attempts, durationMs });
  }
}

function circuitOpen(retryAfterMs: number | undefined): AttemptFailure {
  return {
    kind: 'circuit_open',
    message: 'keyverify: the key server is out and is left alone for a while',
    retryAfterMs,
  };
}
