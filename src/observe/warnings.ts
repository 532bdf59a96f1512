import { callSafely } from '../core/events.js';
import type { VerifyFailure } from '../core/failure.js';
import type { Logger } from '../core/logger.js';

const INTERVAL_MS = 60_000;

/** Warns of wrong settings, at most once a minute: without a limit it would warn on every request. */
export class Warnings {
  readonly #logger: Logger;
  #quietUntil = -Infinity;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  misconfigured(failure: VerifyFailure, mono: number): void {
    if (failure.kind !== 'misconfigured' || mono < this.#quietUntil) return;
    this.#quietUntil = mono + INTERVAL_MS;
    const because = failure.cause instanceof Error ? ` (${failure.cause.message})` : '';
    callSafely((message: string) => this.#logger.warn(message), failure.message + because);
  }
}
