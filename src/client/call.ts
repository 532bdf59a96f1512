import type { Clock, Instant } from '../core/clock.js';
import type { AttemptFailure } from '../core/failure.js';
import { mayBeOutage } from '../core/failure.js';
import { redactError } from '../core/redact.js';
import { isObject } from '../core/schema.js';
import type { Verdict } from '../core/verdict.js';
import type { ClaimsReader } from '../protocol/claims.js';
import { decodeResponse, type Decoded } from '../protocol/decode.js';
import type { DecodedVerdict, WireProtocol } from '../protocol/protocol.js';
import { type Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { retriesLeft, retryDelayMs } from '../resilience/retry.js';
import type { SendOptions, Transport, WireRequest, WireResponse } from '../transport/transport.js';
import type { AmbiguousRejections } from './ambiguity.js';
import type { WatchedCall } from './evidence.js';
import {
  ABANDONED,
  BUSY,
  TIMEOUT,
  UNSENT,
  UNUSABLE,
  doubtful,
  misconfigured,
  transportFailure,
} from './call-failures.js';
import { Attempt, type AttemptOutcome } from './attempt.js';
import { clockSkewMs } from './clock-skew.js';
import { readVerdict } from './read-verdict.js';
import type { ServiceToken } from './token.js';

export interface CallOptions<Claims> {
  readonly verifyUrl: string;
  readonly scope: string | undefined;
  readonly protocol: WireProtocol;
  readonly readClaims: ClaimsReader<Claims>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What a call works with. */
export interface CallDeps {
  readonly transport: Transport;
  readonly token: ServiceToken;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
}

/** What one call asks, and who is told about it. */
export interface CallContext {
  readonly key: string;
  readonly retries: number;
  readonly deadline: Deadline;
  /** Whether the cached verdict says that the key is good; `false` once it was invalidated. Default: `false`. */
  readonly wasGood?: boolean | undefined;
  /** What earlier calls have come to by ambiguous rejections. Default: nothing, and each of them is believed. */
  readonly ambiguity?: AmbiguousRejections | undefined;
  /** Told when the first request is sent. */
  readonly onSent?: ((at: Instant) => void) | undefined;
  /** After how many milliseconds a wait is suspicious. Default: half of the whole time. */
  readonly suspectAfterMs?: number | undefined;
  /** Told when an attempt failed as it would in an outage, or takes suspiciously long. */
  readonly onSuspect?: (() => void) | undefined;
  /** How its first request is sent. Default: over any connection. */
  readonly sendOptions?: SendOptions | undefined;
  /** Whether another attempt is welcome. Default: it is. */
  readonly mayRetry?: (() => boolean) | undefined;
}

/** A retry is of use where the first attempt met the one bad backend, to which its connection leads. */
const FRESH: SendOptions = { fresh: true };

/** Whether our own token or URL may be why the key was rejected. A limit on the key passes, and says nothing of whose it is. */
const isAmbiguous = (decoded: DecodedVerdict): boolean =>
  decoded.kind === 'rejected' && decoded.ambiguous && decoded.result.reason !== 'rate_limited';

/** What may take too long beside the key server. */
const OWN_WORK = { token: 'serviceToken()', request: 'the protocol', claims: 'the schema in claims' };

/** The attempt that ended next. */
type Next<Claims> = Attempt<Claims> | typeof TIMED_OUT;

const isVerdict = <Claims>(outcome: AttemptOutcome<Claims> | typeof TIMED_OUT): outcome is Verdict<Claims> =>
  outcome !== TIMED_OUT && 'askedAt' in outcome;

/** One question to the key server: attempts within a deadline. `run()` never rejects. */
export class Call<Claims> implements WatchedCall {
  older: WatchedCall | undefined;
  newer: WatchedCall | undefined;
  order: number | undefined;
  ahead: number | undefined;
  /** How many requests were sent. */
  attempts = 0;
  /** When the first request was sent, on the monotonic clock. */
  firstSentAt: number | undefined;
  /** How far our clock is ahead of the server's, by its latest response, in milliseconds. */
  clockSkewMs: number | undefined;
  readonly #options: CallOptions<Claims>;
  readonly #deps: CallDeps;
  readonly #context: CallContext;
  /** Attempts whose answer is still waited for, beside the one that took their place. */
  #open: readonly Attempt<Claims>[] = [];
  /** In the order in which they were made. */
  #all: readonly Attempt<Claims>[] = [];
  #renewal: Promise<string> | undefined;
  #isGivenUp = false;

  constructor(options: CallOptions<Claims>, deps: CallDeps, context: CallContext) {
    this.#options = options;
    this.#deps = deps;
    this.#context = context;
  }

  /** Whether nothing of it is in flight, since it is yet to be asked again. */
  get waitsToRetry(): boolean {
    return this.attempts > 0 && this.#open.length === 0;
  }

  /** Whether a request whose answer is still waited for has been handed to a connection. */
  get isSent(): boolean {
    return this.#open.some((attempt) => attempt.isSent);
  }

  /**
   * How many attempts before the one with this outcome failed as they would in an outage, or were not answered. One that was
   * only slow, so that a retry was sent beside it, is not among them: a caller's key may make the server slow.
   */
  failedBefore(outcome: AttemptOutcome<Claims>): number {
    let failed = 0;
    for (const { outcome: earlier } of this.#all) {
      if (earlier === outcome) break;
      if (!isVerdict(earlier) && mayBeOutage(earlier)) failed++;
    }
    return failed;
  }

  /** Ends now, to make room for others. Where it waits for its retry, it ends as it has failed so far. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#context.deadline.interrupt();
  }

  async run(): Promise<AttemptOutcome<Claims>> {
    const { retries, deadline, suspectAfterMs = deadline.ms / 2, onSuspect, mayRetry } = this.#context;
    try {
      for (let attempt = 1; ; attempt++) {
        const current = this.#start();
        // Equal shares of what is left: a server that hangs leaves time for the retry.
        const shareMs = deadline.leftMs / (retries + 2 - attempt);
        let next = await this.#next(Math.min(shareMs, suspectAfterMs));
        if (next === TIMED_OUT && shareMs > suspectAfterMs && !this.#isOver)
          next = await this.#waitOn(current, shareMs - suspectAfterMs);
        const outcome = this.#outcomeOf(next);
        if (isVerdict(outcome)) return outcome;
        const failure = outcome === TIMED_OUT ? await this.#timeout(current) : outcome;
        if (mayBeOutage(failure)) onSuspect?.();
        const delayMs = outcome === TIMED_OUT ? 0 : retryDelayMs(failure, attempt, this.#options.random);
        if (retriesLeft(failure, attempt, retries) <= 0 || delayMs >= deadline.leftMs || mayRetry?.() === false)
          return await this.#lastChance(failure);
        const early = await this.#pause(delayMs, failure);
        if (early !== undefined) return early;
      }
    } finally {
      for (const attempt of this.#open) attempt.abort();
    }
  }

  get #isOver(): boolean {
    return this.#isGivenUp || this.#context.deadline.leftMs <= 0;
  }

  /** Waits before a retry. An earlier attempt may still be answered meanwhile. */
  async #pause(ms: number, failure: AttemptFailure): Promise<AttemptOutcome<Claims> | undefined> {
    const { clock } = this.#options;
    const end = clock.monotonic() + ms;
    for (let leftMs = ms; leftMs > 0 && !this.#isOver; leftMs = end - clock.monotonic()) {
      const outcome = this.#outcomeOf(await this.#next(leftMs));
      if (isVerdict(outcome)) return outcome;
    }
    if (!this.#isGivenUp) return undefined;
    return this.waitsToRetry ? failure : ABANDONED;
  }

  /** An earlier attempt, which took more than its share of the time, may still be answered. */
  async #lastChance(failure: AttemptFailure): Promise<AttemptOutcome<Claims>> {
    while (mayBeOutage(failure) && this.#open.length > 0 && !this.#isOver) {
      const outcome = this.#outcomeOf(await this.#next(this.#context.deadline.leftMs));
      if (isVerdict(outcome)) return outcome;
    }
    return failure;
  }

  /** The next that ends, after a wait that was suspicious, waited for up to `ms`. */
  async #waitOn(attempt: Attempt<Claims>, ms: number): Promise<Next<Claims>> {
    if (attempt.waitsFor === 'response') this.#context.onSuspect?.();
    return await this.#next(Math.min(ms, this.#context.deadline.leftMs));
  }

  /** The next open attempt that ends, waited for up to `ms`. */
  #next(ms: number): Promise<Next<Claims>> {
    const first = this.#open.at(0);
    // With none open, there is nothing to wait for but the time: a race of none never ends.
    const isOne = first !== undefined && this.#open.length === 1;
    const ended = isOne ? first.ended : Promise.race(this.#open.map((attempt) => attempt.ended));
    return this.#context.deadline.race(ended, ms);
  }

  /** The outcome of an attempt that has ended; removes it from the open ones. */
  #outcomeOf(next: Next<Claims>): AttemptOutcome<Claims> | typeof TIMED_OUT {
    if (next === TIMED_OUT) return TIMED_OUT;
    this.#open = this.#open.filter((attempt) => attempt !== next);
    return next.outcome;
  }

  async #timeout({ waitsFor }: Attempt<Claims>): Promise<AttemptFailure> {
    if (this.#isGivenUp) return ABANDONED;
    if (waitsFor === 'token') this.#deps.token.forget();
    if (waitsFor !== 'response') return misconfigured(`${OWN_WORK[waitsFor]} took too long`);
    if (!this.#isOver) return TIMEOUT;
    if (!this.isSent) return UNSENT;
    return (await this.#context.deadline.isOwnLoad()) ? BUSY : TIMEOUT;
  }

  #start(): Attempt<Claims> {
    const attempt = new Attempt<Claims>((started) => this.#attempt(started));
    // Not by push(), which makes room for 16 more.
    this.#all = [...this.#all, attempt];
    this.#open = [...this.#open, attempt];
    return attempt;
  }

  async #attempt(attempt: Attempt<Claims>, renewal?: Promise<string>): Promise<AttemptOutcome<Claims>> {
    try {
      attempt.waitsFor = 'token';
      const token = (renewal ? undefined : this.#deps.token.current) ?? (await this.#fetchToken(renewal));
      if (typeof token === 'object') return token;
      const { clock, protocol, verifyUrl, scope } = this.#options;
      const { key } = this.#context;
      let request: WireRequest;
      try {
        const encoded = protocol.encode({ url: verifyUrl, key, scope, token });
        attempt.waitsFor = 'request';
        request = encoded instanceof Promise ? await encoded : encoded;
      } catch (error) {
        return misconfigured('the protocol could not make a request', redactError(error, [key, token]));
      }
      const askedAt = { wall: clock.wall(), mono: clock.monotonic() };
      this.#recordSent(askedAt);
      attempt.waitsFor = 'response';
      const secrets = [key, token, ...(request.secrets ?? [])];
      let response: WireResponse;
      try {
        attempt.exchange = this.#deps.transport.send(request, this.attempts > 1 ? FRESH : this.#context.sendOptions);
        response = await attempt.exchange.response;
      } catch (error) {
        return transportFailure(error, secrets);
      }
      if (!isObject(response)) return UNUSABLE;
      this.clockSkewMs = clockSkewMs(response, (askedAt.wall + clock.wall()) / 2);
      const decoded = decodeResponse(protocol, response, { secrets, askedAt: askedAt.wall, scope });
      if (this.#renews(decoded, response.status, token)) return await this.#attempt(attempt, this.#renewal);
      if ('failure' in decoded) return decoded.failure;
      const doubt = this.#doubt(decoded, response.status, askedAt, token);
      if (doubt !== undefined) return doubt;
      attempt.waitsFor = 'claims';
      const read = readVerdict(decoded, askedAt, this.#options, this.#context.key);
      return read instanceof Promise ? await read : read;
    } catch {
      // The caller's own transport or protocol may throw anything. It must not cost a slot.
      return UNUSABLE;
    }
  }

  /** Fetches another token, once, if ours may have been refused and there may be another one now. */
  #renews(decoded: Decoded, status: number, token: string): boolean {
    if (this.#renewal !== undefined) return false;
    const isRefused =
      'failure' in decoded
        ? decoded.failure.tokenRefused
        : // Only keys that were good make us fetch another token: made-up ones could make us do so for ever.
          this.#context.wasGood && status === 401 && isAmbiguous(decoded);
    if (isRefused === true)
      this.#renewal = this.#deps.token.renew(token, this.#options.clock.monotonic(), this.#deps.sharesPromises);
    return this.#renewal !== undefined;
  }

  /** The failure that a rejection counts as where our own token or URL might be the reason for it. */
  #doubt(decoded: DecodedVerdict, status: number, { mono }: Instant, token: string): AttemptFailure | undefined {
    const { ambiguity, wasGood = false } = this.#context;
    if (decoded.kind === 'verified' || !decoded.ambiguous) {
      ambiguity?.recordCertain();
      this.#deps.token.accept(token, this.#renewal !== undefined);
    } else if (isAmbiguous(decoded) && ambiguity?.isBelieved(wasGood, mono) === false) return doubtful(status);
    return undefined;
  }

  #recordSent(askedAt: Instant): void {
    this.attempts++;
    if (this.firstSentAt !== undefined) return;
    this.firstSentAt = askedAt.mono;
    this.#context.onSent?.(askedAt);
  }

  async #fetchToken(renewal = this.#deps.token.fetch(this.#deps.sharesPromises)): Promise<string | AttemptFailure> {
    try {
      return await renewal;
    } catch (error) {
      return misconfigured('serviceToken() failed', redactError(error, [this.#context.key]));
    }
  }
}
