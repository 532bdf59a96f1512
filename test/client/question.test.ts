import { expect, test } from 'vitest';

import { controlOutcome, outcomeOf } from '../../src/client/question.js';
import { VerifyFailure } from '../../src/core/failure.js';
import { clientOf } from '../helpers/client.js';
import { failure } from '../helpers/control.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

test.each([
  [GOOD_BODY, 'verified'],
  [{ valid: false, reason: 'unknown_key' }, 'rejected'],
])('observers get the outcome of a question: %o, %s', async (body, outcome) => {
  const { ask, answer, clock } = clientOf();
  const asked = await ask('sk-1');
  await clock.advance(20);
  await answer('sk-1', response(200, body));
  if (asked.outcome === undefined) throw new Error('it was answered');
  expect(outcomeOf(asked.outcome)).toEqual({ outcome, failure: undefined, attempts: 1, durationMs: 20 });
});

test('observers are told how a question failed', () => {
  const failed = new VerifyFailure('timeout', 'too late', { attempts: 2, durationMs: 30 });
  expect(outcomeOf(failed)).toEqual({ outcome: 'failed', failure: failed, attempts: 2, durationMs: 30 });
});

test('observers get an answered control question as rejected', () => {
  const out = failure('timeout');
  expect(controlOutcome(undefined, 1, 40)).toEqual({
    outcome: 'rejected',
    failure: undefined,
    attempts: 1,
    durationMs: 40,
  });
  expect(controlOutcome(out, 2, 50)).toEqual({ outcome: 'failed', failure: out, attempts: 2, durationMs: 50 });
});
