import type { BreakerOptions } from '../core/breaker.js';
import type { Clock } from '../core/clock.js';
import { callSafely } from '../core/events.js';
import { mayBeOutage, type VerifyFailure } from '../core/failure.js';
import type { Logger } from '../core/logger.js';
import { redact } from '../core/redact.js';
import type { StatusCounts } from '../core/stats.js';
import { Throttle } from '../core/throttle.js';
import type { Freshness } from '../core/verdict.js';
import { lines, type LogSettings } from './log-lines.js';

type Once = 'caching' | 'clock' | 'closed' | 'durations' | 'transport';

/** The service token, while there is one. */
interface Token {
  readonly current?: string | undefined;
}

/** Further off than this, a clock expires keys early or late. `Date` and the way there account for a second or two. */
const MOST_CLOCK_SKEW_MS = 60_000;

/** Others are answered if somebody was so shortly before a question, or since: without evidence of an outage it failed alone. */
const SHORTLY_MS = 1000;

/** Whether it is half an hour in seconds or a multiple of that, up to a day. As milliseconds, nobody would choose 3 600. */
const looksLikeHours = (value: number): boolean => value <= 86_400 && value % 1800 === 0 && value % 1000 !== 0;

/** Below how many milliseconds a duration is probably meant in seconds. */
const LEAST = [
  ['cacheTtlMs', 1000],
  ['rejectedTtlMs', 100],
  ['staleIfErrorMs', 1000],
  ['timeoutMs', 50],
  ['degradedTtlMs', 100],
  ['breaker.openMs', 100],
  ['breaker.maxOpenMs', 100],
] as const;

/** The durations that are probably meant in seconds: nobody who counts in milliseconds has a use for them. */
function inSeconds(settings: LogSettings) {
  const { openMs = 0, maxOpenMs = 0 }: Partial<BreakerOptions> = settings.breaker || {};
  const given = { ...settings, 'breaker.openMs': openMs, 'breaker.maxOpenMs': maxOpenMs };
  // What may be a second may be an hour, too; 0 disables.
  return LEAST.map(([name, least]) => [name, given[name], least] as const).filter(
    ([, ms, least]) => ms > 0 && (ms < least || (least === 1000 && looksLikeHours(ms))),
  );
}

/**
 * Says what somebody has to know who looks into it: a few lines for an outage, at most one a minute for every other kind of
 * failure, one at all for a setting that defeats the purpose.
 */
export class Logs {
  readonly #logger: Logger | false;
  readonly settings: LogSettings;
  readonly #results: () => StatusCounts;
  readonly #token: Token;
  readonly #said = new Set<Once>();
  readonly #throttle = new Throttle<string>();
  #outage: { readonly since: number; readonly before: StatusCounts } | undefined;
  #isOpen = false;
  /** Whether a line said that the key server gives no verdicts, and none that it does again. */
  #owesRecoveryLine = false;
  #saidFailOpen = false;

  constructor(logger: Logger | false, settings: LogSettings, results: () => StatusCounts, token: Token = {}) {
    this.#logger = logger;
    this.settings = settings;
    this.#results = results;
    this.#token = token;
    const short = inSeconds(settings);
    if (short.length > 0) this.#once('durations', () => lines.durations(short));
  }

  /** A question about a key ended without a verdict. `lastAnswerAt`: when the key server last answered anybody. */
  failed(failure: VerifyFailure, mono: number, lastAnswerAt: number): void {
    const { kind, message, evidence, durationMs } = failure;
    const outage = mayBeOutage(failure);
    if (outage) this.#outage ??= { since: mono, before: this.#results() };
    // What belongs to an outage has been said when the breaker opened.
    if (kind === 'circuit_open' || (this.#isOpen && outage)) return;
    // One key may be the reason for these, too: a server may answer 404 for each unknown key.
    const isAnswer = kind === 'invalid_response' || kind === 'misconfigured';
    const isOwn = (outage || isAnswer) && evidence === 'none' && lastAnswerAt > mono - durationMs - SHORTLY_MS;
    // A line about one key holds back none about all of them, nor one about a setting that about another.
    const text = isAnswer ? message : '';
    const unsaid = this.#throttle.pass(isOwn ? `own ${kind}` : kind, mono, text);
    if (unsaid === undefined) return;
    this.#owesRecoveryLine ||= !outage && !isOwn && kind !== 'overloaded';
    this.warn(() => lines.failure(failure, this.settings, unsaid, isOwn));
  }

  /** The service's own code is wrong, so it was not a matter of the key. */
  mistake({ message }: { readonly message: string }, mono: number): void {
    const unsaid = this.#throttle.pass('mistake', mono, message);
    if (unsaid !== undefined) this.warn(() => lines.mistake(message, unsaid));
  }

  /** The key server gave a verdict: what has failed so far was no outage, or it is over. `health` is asked only if a line depends on it. */
  answered(health: { readonly isOk: boolean }, clock: Pick<Clock, 'monotonic'>): void {
    if (this.#owesRecoveryLine) this.#end(health.isOk, clock.monotonic());
    if (!this.#isOpen && this.#outage !== undefined) this.#endOutage();
  }

  /** A line that is held back comes with a later answer. */
  #end(isOk: boolean, mono: number): void {
    if (!isOk || this.#throttle.pass('again', mono) === undefined) return;
    this.#owesRecoveryLine = false;
    this.info(() => lines.again(this.settings));
  }

  #endOutage(): void {
    this.#outage = undefined;
    this.#saidFailOpen = false;
  }

  /** The breaker changed its state; with a failure, it is open or half-open. */
  breakerChanged(failure: VerifyFailure | undefined, mono: number): void {
    if (failure !== undefined) {
      this.#outage ??= { since: mono, before: this.#results() };
      if (!this.#isOpen) this.warn(() => lines.opened(failure, this.settings));
      this.#isOpen = true;
      return;
    }
    const outage = this.#outage;
    this.#isOpen = false;
    this.#owesRecoveryLine = false;
    if (outage !== undefined)
      this.info(() => lines.closed(this.settings, mono - outage.since, outage.before, this.#results()));
    this.#endOutage();
  }

  /** A caller was let in without an identity. */
  failedOpen(): void {
    if (this.#saidFailOpen) return;
    this.#saidFailOpen = true;
    this.warn(() => lines.failedOpen(this.settings));
  }

  /** What the key server said about caching a verdict on a good key, and about the time. */
  verdict({ noStore, maxAgeMs }: Freshness, clockSkewMs = 0): void {
    if (noStore || maxAgeMs === 0) this.#once('caching', () => lines.caching(this.settings));
    if (Math.abs(clockSkewMs) > MOST_CLOCK_SKEW_MS) this.#once('clock', () => lines.clock(this.settings, clockSkewMs));
  }

  /** Another transport stands in for the best one. */
  transport(message: string): void {
    this.#once('transport', () => message);
  }

  /** A call that has to ask came after `close()`. */
  closed(): void {
    this.#once('closed', () => lines.afterClose);
  }

  /** A line that may quote what a callback or a store threw, which may hold anything. */
  quoting(line: string): void {
    this.warn(() => redact(line, [this.#token.current ?? '']));
  }

  #once(about: Once, line: () => string): void {
    if (this.#said.has(about)) return;
    this.#said.add(about);
    this.warn(line);
  }

  warn(line: () => string): void {
    if (this.#logger !== false) callSafely((logger) => logger.warn(line()), this.#logger);
  }

  info(line: () => string): void {
    if (this.#logger !== false)
      callSafely((logger) => (logger.info ? logger.info(line()) : logger.warn(line())), this.#logger);
  }
}
