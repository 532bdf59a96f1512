import type { TestClock } from 'keyverify/testing';

import { ControlQuestions, type ControlOptions, type ControlResult } from '../../src/client/control.js';
import type { AttemptFailure } from '../../src/core/failure.js';

interface AskedControl {
  readonly key: string;
  readonly timeoutMs: number;
  isSent: boolean;
  lagMs: number;
  /** Answers it, or lets it fail. */
  readonly finish: (failure?: AttemptFailure) => Promise<void>;
}

export const CONTROL_TIMEOUT_MS = 2_000;

/** Control questions that a test answers itself. */
export function fakeControls(clock: TestClock, options: Partial<ControlOptions> = {}) {
  const asked: AskedControl[] = [];
  const results: ControlResult[] = [];
  let keys = 0;
  const controls = new ControlQuestions({
    clock,
    timeoutMs: CONTROL_TIMEOUT_MS,
    controlKey: () => `control-${++keys}`,
    onResult: (result) => results.push(result),
    ask(key, timeoutMs) {
      let land: (failure?: AttemptFailure) => void = () => undefined;
      const result = new Promise<AttemptFailure | undefined>((resolve) => (land = resolve));
      const control: AskedControl = {
        key,
        timeoutMs,
        isSent: true,
        lagMs: 0,
        finish: async (failure) => {
          land(failure);
          await clock.advance(0);
        },
      };
      asked.push(control);
      return {
        result,
        get isSent() {
          return control.isSent;
        },
        get lagMs() {
          return control.lagMs;
        },
      };
    },
    ...options,
  });
  return { controls, asked, results };
}

export const failure = (kind: AttemptFailure['kind'], details: Partial<AttemptFailure> = {}): AttemptFailure => ({
  kind,
  message: kind,
  ...details,
});
