import { testClock } from 'keyverify/testing';

import { OutageEvidence, type WatchedCall } from '../../src/client/evidence.js';
import type { AttemptFailure, Evidence } from '../../src/core/failure.js';
import { Deadline } from '../../src/resilience/deadline.js';
import { CONTROL_TIMEOUT_MS, failure, fakeControls } from './control.js';

export const OUT = failure('server_error');
export const REFUSED = failure('unreachable', { unconnected: true });

/** Evidence over control questions that the test answers. */
export function watchEvidence({ sharesPromises = true, maxConcurrency = 64 } = {}) {
  const clock = testClock();
  const grades: Evidence[] = [];
  const { controls, asked } = fakeControls(clock, {
    onResult: (result) => {
      grades.push(evidence.recordControl(result));
      if (result.failure === undefined) evidence.recordAnswer(clock.monotonic(), result.durationMs, 0);
    },
  });
  const evidence = new OutageEvidence(
    { clock, timeoutMs: CONTROL_TIMEOUT_MS, maxConcurrency, sharesPromises },
    controls,
  );
  const answer = (latencyMs = 10, failedAttempts = 0, call?: WatchedCall): void =>
    evidence.recordAnswer(clock.monotonic(), latencyMs, failedAttempts, call);
  /** A question that is sent now. */
  const send = () => {
    const call = { firstSentAt: clock.monotonic() };
    evidence.begin(call, call.firstSentAt);
    return call;
  };
  /** Whether a question that is sent now and fails at once is evidence; `found` once that is known. */
  const fail = (why: AttemptFailure = OUT, timeoutMs = CONTROL_TIMEOUT_MS, call = send()) => {
    evidence.end(call);
    const confirmed: { found: Evidence | undefined } = { found: undefined };
    void evidence.confirm(call, why, new Deadline(clock, timeoutMs)).then((found) => (confirmed.found = found));
    return confirmed;
  };
  return { clock, controls, asked, evidence, grades, answer, send, fail };
}
