import type { Clock } from '../core/clock.js';
import type { AttemptFailure } from '../core/failure.js';
import { redactError } from '../core/redact.js';

/** A control question that is being asked. */
export interface PendingControl {
  readonly sentAt: number;
  /** Whether it has been handed to a connection. */
  readonly isSent: boolean;
  /** For how long our own event loop was late since then, in milliseconds. */
  readonly lagMs: number;
}

/** What became of a control question. */
export interface ControlResult {
  readonly sentAt: number;
  readonly durationMs: number;
  /** `undefined` if it was answered. */
  readonly failure: AttemptFailure | undefined;
  /** How far our clock is ahead of the server's, in milliseconds, where that is known. */
  readonly clockSkewMs?: number | undefined;
}

/** Asks once about a random key: with `fresh` over a new connection, else over the one that is kept for it. */
type AskControl = (
  key: string,
  timeoutMs: number,
  fresh: boolean,
) => {
  readonly isSent: boolean;
  readonly lagMs: number;
  readonly result: Promise<AttemptFailure | undefined>;
  readonly clockSkewMs?: number | undefined;
};

export interface ControlOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly ask: AskControl;
  readonly controlKey: () => string;
  readonly onResult: (result: ControlResult) => void;
}

/** The key server sees at most one control question a second from each process, and one repeat after a hang-up. */
export const CONTROL_INTERVAL_MS = 1000;

/** The interval counts from the end of a question, but at most from this long after its start, in milliseconds. */
const TRAVEL_MS = 250;

/**
 * Questions about random keys of our own. No caller can influence how they end, so they show how the key server is. One at a
 * time, outside of the bulkhead and of pauses.
 */
export class ControlQuestions {
  readonly #options: ControlOptions;
  #pending: PendingControl | undefined;
  #last: ControlResult | undefined;
  #nextAt = -Infinity;
  #expiresAt = -Infinity;
  #cancelTimer: (() => void) | undefined;
  #closed = false;
  #count = 0;
  #clockSkewMs: number | undefined;
  /** The time that a probe gets which comes next. */
  #probeMs: number | undefined;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  /** How many were asked so far, repeats included. */
  get count(): number {
    return this.#count;
  }

  /** The one that is being asked. It expires, since an isolate that ends with its request never settles it. */
  get pending(): PendingControl | undefined {
    return this.#options.clock.monotonic() < this.#expiresAt ? this.#pending : undefined;
  }

  get last(): ControlResult | undefined {
    return this.#last;
  }

  /**
   * Asks as soon as the interval allows, unless one is being asked or is due already. A probe comes after the one that is being
   * asked, if that fails: the server may have recovered meanwhile.
   */
  request(timeoutMs = this.#options.timeoutMs, isProbe = false): void {
    if (this.#closed || this.#cancelTimer !== undefined) return;
    if (this.pending !== undefined) {
      if (isProbe) this.#probeMs = timeoutMs;
      return;
    }
    const waitMs = this.#nextAt - this.#options.clock.monotonic();
    if (waitMs <= 0) void this.#ask(timeoutMs);
    else {
      this.#cancelTimer = this.#options.clock.after(
        waitMs,
        () => {
          this.#cancelTimer = undefined;
          this.request(timeoutMs);
        },
        true,
      );
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  async #ask(timeoutMs: number): Promise<void> {
    const { clock, onResult } = this.#options;
    const sentAt = clock.monotonic();
    this.#nextAt = sentAt + TRAVEL_MS + CONTROL_INTERVAL_MS;
    this.#expiresAt = sentAt + 2 * timeoutMs;
    let failure = await this.#once(sentAt, timeoutMs, false);
    // A server may close an idle connection just when a request is sent on it.
    if (failure?.kind === 'unreachable' && failure.unconnected !== true)
      failure = await this.#once(sentAt, timeoutMs, true);
    this.#pending = undefined;
    this.#nextAt = Math.min(clock.monotonic() + CONTROL_INTERVAL_MS, this.#nextAt);
    this.#last = { sentAt, durationMs: clock.monotonic() - sentAt, failure, clockSkewMs: this.#clockSkewMs };
    const probeMs = this.#probeMs;
    this.#probeMs = undefined;
    if (failure !== undefined && probeMs !== undefined) this.request(probeMs);
    onResult(this.#last);
  }

  async #once(sentAt: number, timeoutMs: number, fresh: boolean): Promise<AttemptFailure | undefined> {
    const { ask, controlKey } = this.#options;
    let key: string;
    try {
      key = controlKey();
    } catch (error) {
      return { kind: 'misconfigured', message: 'keyverify: controlKey() failed', cause: redactError(error, []) };
    }
    this.#count++;
    const asked = ask(key, timeoutMs, fresh);
    this.#pending = Object.assign(asked, { sentAt });
    const failure = await asked.result;
    this.#clockSkewMs = asked.clockSkewMs;
    return failure;
  }
}
