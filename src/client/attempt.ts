import { callSafely } from '../core/events.js';
import type { AttemptFailure } from '../core/failure.js';
import type { Verdict } from '../core/verdict.js';
import type { Exchange } from '../transport/transport.js';
import { TIMEOUT } from './call-failures.js';

export type AttemptOutcome<Claims> = Verdict<Claims> | AttemptFailure;

/** One attempt and its outcome. */
export class Attempt<Claims> {
  /** What it is waiting for: a timeout is blamed on that. */
  waitsFor: 'token' | 'request' | 'response' | 'claims' = 'token';
  exchange: Exchange | undefined;
  outcome: AttemptOutcome<Claims> = TIMEOUT;
  readonly ended: Promise<this>;

  /** `ask` must not reject. */
  constructor(ask: (attempt: Attempt<Claims>) => Promise<AttemptOutcome<Claims>>) {
    this.ended = ask(this).then((outcome) => {
      this.outcome = outcome;
      return this;
    });
  }

  /** Whether its request has been handed to a connection. */
  get isSent(): boolean {
    try {
      return this.exchange?.isSent?.() ?? this.exchange !== undefined;
    } catch {
      // What the caller's own transport can't tell is no reason to open.
      return false;
    }
  }

  abort(): void {
    callSafely((reason) => this.exchange?.abort(reason), new Error('no longer waited for'));
  }
}
