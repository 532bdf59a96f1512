import type { Clock } from '../core/clock.js';
import type { VerifyFailure } from '../core/failure.js';
import type { CheckResult } from '../core/health.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { CONTROL_INTERVAL_MS, type ControlResult } from './control.js';
import { NO_CONTROL } from './load-failures.js';

/** `check()` may have to wait for a control question that is being asked; each is given `timeoutMs`, and repeated once. */
const CHECK_TIMEOUTS = 4;

interface Waiting {
  readonly since: number;
  readonly resolve: (result: CheckResult) => void;
}

/** Those who wait for a control question that is asked after they came. */
export class Checks {
  readonly #waiting = new Set<Waiting>();

  /** Waits until `settle()` or `end()`, but not for ever. */
  async wait({ clock, timeoutMs }: { clock: Clock; timeoutMs: number }): Promise<CheckResult> {
    const since = clock.monotonic();
    const deadline = new Deadline(clock, CHECK_TIMEOUTS * timeoutMs + CONTROL_INTERVAL_MS, since);
    const settled = new Promise<CheckResult>((resolve) => void this.#waiting.add({ since, resolve }));
    const result = await deadline.race(settled);
    return result === TIMED_OUT ? toCheckResult(clock.monotonic() - since, NO_CONTROL) : result;
  }

  /** A control question has ended. Returns whether some wait for another, since that one was sent before they came. */
  settle({ sentAt, durationMs, clockSkewMs }: ControlResult, failure: VerifyFailure | undefined): boolean {
    const result = toCheckResult(durationMs, failure, clockSkewMs);
    for (const waiting of this.#waiting) {
      if (waiting.since > sentAt) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(result);
    }
    return this.#waiting.size > 0;
  }

  /** No control question will be asked any more. */
  end(failure: VerifyFailure): void {
    for (const { resolve } of this.#waiting) resolve(toCheckResult(0, failure));
    this.#waiting.clear();
  }
}

export function toCheckResult(latencyMs: number, failure?: VerifyFailure, clockSkewMs?: number): CheckResult {
  return Object.freeze({
    ok: failure === undefined,
    ...(failure && { failure }),
    latencyMs,
    ...(clockSkewMs !== undefined && { clockSkewMs }),
  });
}
