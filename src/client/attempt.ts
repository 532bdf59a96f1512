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
}
