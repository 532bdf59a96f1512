import { describe, expect, test } from 'vitest';

import { ControlTrust } from '../../src/client/control-trust.js';
import type { AttemptFailure } from '../../src/core/failure.js';
import { Deadline } from '../../src/resilience/deadline.js';
import { CONTROL_TIMEOUT_MS as TIMEOUT, failure } from '../helpers/control.js';
import { OUT, REFUSED, watchEvidence } from '../helpers/evidence.js';

describe('a question that failed', () => {
  test('is no evidence where it was never sent', async () => {
    const { clock, evidence, asked } = watchEvidence();
    expect(await evidence.confirm({ firstSentAt: undefined }, OUT, new Deadline(clock, TIMEOUT))).toBe('none');
    expect(asked).toEqual([]);
  });

  test('is evidence where the control question fails, too', async () => {
    const { fail, asked, grades, clock } = watchEvidence();
    const failed = fail();
    await clock.advance(0);
    expect([failed.found, asked.length]).toEqual([undefined, 1]);
    await asked[0]?.finish(failure('timeout'));
    expect([failed.found, grades]).toEqual(['proven', ['proven']]);
    expect(clock.pending).toBe(0);
  });

  test('is its own failure where the control question is answered', async () => {
    const { fail, asked, grades } = watchEvidence();
    const failed = fail();
    await asked[0]?.finish();
    expect([failed.found, grades]).toEqual(['none', ['none']]);
  });

  test.each(['misconfigured', 'rate_limited', 'overloaded', 'invalid_response'] as const)(
    'is its own failure where the control question fails for another reason: %s',
    async (kind) => {
      const { fail, asked, grades } = watchEvidence();
      const failed = fail();
      await asked[0]?.finish(failure(kind));
      expect([failed.found, grades]).toEqual(['none', ['none']]);
    },
  );

  test('is no evidence where the control question was answered by a 4xx', async () => {
    const { fail, asked } = watchEvidence();
    const failed = fail();
    await asked[0]?.finish(failure('server_error', { status: 425 }));
    expect(failed.found).toBe('none');
  });

  test('is no evidence when its time is up before there is any', async () => {
    const { fail, asked, clock } = watchEvidence();
    const failed = fail(OUT, 300);
    await clock.advance(299);
    expect(failed.found).toBeUndefined();
    await clock.advance(1);
    expect([failed.found, asked.length, clock.pending]).toEqual(['none', 1, 0]);
  });
});

describe('the rule of the other answer', () => {
  test('a failure is its own where others were answered since the question was sent', async () => {
    const { clock, evidence, answer, send, fail, asked } = watchEvidence();
    const call = send();
    await clock.advance(10);
    answer();
    expect(evidence.answeredSince(call)).toBe(true);
    evidence.suspect(call);
    const failed = fail(OUT, TIMEOUT, call);
    await clock.advance(0);
    expect([failed.found, asked]).toEqual(['none', []]);
  });

  test('only an answer after that moment counts', async () => {
    const { clock, evidence, answer, send } = watchEvidence();
    expect(evidence.lastAnswerAt).toBe(-Infinity);
    answer();
    expect(evidence.lastAnswerAt).toBe(clock.monotonic());
    const call = send();
    expect(evidence.answeredSince(call)).toBe(false);
    await clock.advance(1);
    answer();
    expect(evidence.answeredSince(call)).toBe(true);
    expect(evidence.answeredSince({ firstSentAt: undefined })).toBe(false);
  });

  test('an answer that comes while evidence is waited for ends the wait', async () => {
    const { clock, answer, fail } = watchEvidence();
    const failed = fail();
    await clock.advance(100);
    answer();
    await clock.advance(0);
    expect([failed.found, clock.pending]).toEqual(['none', 0]);
  });

  test('others that were sent with it are waited for: a server refuses faster than it answers', async () => {
    const { clock, evidence, send, fail, asked } = watchEvidence();
    const [one, other] = [send(), send()];
    const failed = fail();
    await clock.advance(40);
    expect(asked).toEqual([]);
    evidence.end(one);
    await clock.advance(0);
    expect(asked).toEqual([]);
    evidence.end(other);
    await clock.advance(0);
    await asked[0]?.finish(OUT);
    expect(failed.found).toBe('proven');
  });

  test('a control question alone does not end that wait, but the deadline does', async () => {
    const { clock, evidence, send, fail, asked } = watchEvidence();
    evidence.suspect(send());
    const failed = fail();
    await asked[0]?.finish(OUT);
    await clock.advance(TIMEOUT - 1);
    expect(failed.found).toBeUndefined();
    await clock.advance(1);
    expect(failed.found).toBe('proven');
  });

  test('neither itself nor those that were sent later are waited for', async () => {
    const { clock, send, fail, asked } = watchEvidence();
    const failed = fail();
    send();
    await asked[0]?.finish(OUT);
    await clock.advance(0);
    expect(failed.found).toBe('proven');
  });
});

describe('a control question', () => {
  test('is asked for as soon as a question is suspect', () => {
    const { evidence, send, asked } = watchEvidence();
    evidence.suspect(send());
    expect(asked).toHaveLength(1);
  });

  test.each([
    [1_000, 'proven', 1],
    [1_001, undefined, 2],
  ])('counts for questions that are sent up to a second later: %i ms', async (laterMs, found, count) => {
    const { clock, controls, asked, fail } = watchEvidence();
    controls.request();
    await asked[0]?.finish(OUT);
    await clock.advance(laterMs);
    const failed = fail();
    await clock.advance(0);
    expect([failed.found, asked.length]).toEqual([found, count]);
  });

  test('that was answered shortly before says nothing of a question that was sent later', async () => {
    const { clock, controls, asked, fail } = watchEvidence();
    controls.request();
    await asked[0]?.finish();
    await clock.advance(500);
    const failed = fail();
    await clock.advance(499);
    expect([failed.found, asked.length]).toEqual([undefined, 1]);
    await clock.advance(1);
    await asked[1]?.finish(OUT);
    expect(failed.found).toBe('proven');
  });

  test('that failed is no evidence by itself where others were answered since it was sent', async () => {
    const { clock, controls, answer, asked, grades } = watchEvidence();
    controls.request();
    await clock.advance(10);
    answer();
    await asked[0]?.finish(OUT);
    expect(grades).toEqual(['none']);
  });

  test('is asked for again until it says something', async () => {
    const { clock, answer, fail, asked } = watchEvidence();
    // A flaky server: one failed control question does not do.
    answer(10, 1);
    await clock.advance(1);
    const failed = fail(OUT, 60_000);
    for (let at = 0; at < 5; at++) {
      expect([failed.found, asked.length]).toEqual([undefined, at + 1]);
      await asked[at]?.finish(OUT);
      await clock.advance(1_000);
    }
    expect(failed.found).toBe('unproven');
  });
});

describe('a control question that hangs', () => {
  /** What a failure is worth to a caller whose time is up when the control question has hung for so long. */
  const hang = async (ms: number, { usualMs = 10, isSent = true, lagMs = 0, failedAttempts = 0 } = {}) => {
    const { clock, answer, fail, asked, evidence } = watchEvidence();
    answer(usualMs, failedAttempts);
    await clock.advance(2_000);
    const failed = fail(failure('timeout'), ms);
    Object.assign(asked[0] ?? {}, { isSent, lagMs });
    await clock.advance(ms);
    expect([asked.length, evidence.usualMs]).toEqual([1, usualMs]);
    return failed.found;
  };

  test.each([
    [900, {}, 'unproven'],
    [899, {}, 'none'],
    [1_800, { usualMs: 900 }, 'unproven'],
    [1_799, { usualMs: 900 }, 'none'],
    [1_800, { isSent: false }, 'none'],
    [1_800, { lagMs: 900 }, 'unproven'],
    [1_800, { lagMs: 901 }, 'none'],
    [1_800, { failedAttempts: 1 }, 'none'],
  ])('for %i ms, %j: %s', async (ms, given, expected) => {
    expect(await hang(ms, given)).toBe(expected);
  });

  test.each([
    [1_200, 'unproven'],
    [1_199, 'none'],
  ])('counts only after as long as the latest answer took: %i ms, %s', async (ms, expected) => {
    const { clock, answer, fail } = watchEvidence();
    for (let count = 0; count < 31; count++) answer(10);
    answer(1_200, 0, { firstSentAt: 0 });
    await clock.advance(2_000);
    const failed = fail(failure('timeout'), ms);
    await clock.advance(ms);
    expect(failed.found).toBe(expected);
  });

  test.each([
    [4, Math.ceil(1_200 * (31 / 32) ** 4), 'unproven'],
    [4, Math.floor(1_200 * (31 / 32) ** 4), 'none'],
    [10, 900, 'unproven'],
  ])('and after %i more answers fades: %i ms, %s', async (answers, ms, expected) => {
    const { clock, answer, fail } = watchEvidence();
    for (let count = 0; count < 31; count++) answer(10);
    answer(1_200);
    for (let count = 0; count < answers; count++) answer(10);
    await clock.advance(2_000);
    const failed = fail(failure('timeout'), ms);
    await clock.advance(ms);
    expect(failed.found).toBe(expected);
  });

  test.each([
    [1_300, 'unproven'],
    [1_299, 'none'],
  ])(
    'counts only after twice as long as the latest control question took, though callers are answered sooner: %i ms, %s',
    async (ms, expected) => {
      const { clock, answer, fail } = watchEvidence();
      answer(650);
      for (let count = 0; count < 200; count++) answer(10, 0, { firstSentAt: 0 });
      await clock.advance(2_000);
      const failed = fail(failure('timeout'), ms);
      await clock.advance(ms);
      expect(failed.found).toBe(expected);
    },
  );

  test('needs no more time at a slow server where another one has failed since the last answer', async () => {
    const { clock, answer, fail, asked } = watchEvidence();
    answer(900);
    await clock.advance(2_000);
    const first = fail(failure('timeout'), 900);
    await clock.advance(900);
    await asked[0]?.finish(failure('timeout'));
    await clock.advance(5_000);
    const second = fail(failure('timeout'), 900);
    await clock.advance(900);
    expect([first.found, second.found, asked.length]).toEqual(['none', 'unproven', 2]);
  });

  test('counts as the last of those that a flaky server needs', async () => {
    const { clock, answer, fail, asked, controls } = watchEvidence();
    answer(10, 1);
    await clock.advance(1);
    for (let at = 0; at < 4; at++) {
      controls.request();
      await asked[at]?.finish(OUT);
      await clock.advance(1_000);
    }
    const failed = fail(failure('timeout'), 1_000);
    await clock.advance(1_000);
    expect([failed.found, asked.length]).toEqual(['unproven', 5]);
  });

  test('says nothing before the time of the caller is up', async () => {
    const { clock, fail } = watchEvidence();
    const failed = fail(failure('timeout'));
    await clock.advance(1_999);
    expect(failed.found).toBeUndefined();
    await clock.advance(1);
    expect(failed.found).toBe('proven');
  });

  /** Control questions that hang one after the other; in each second, a key gets a response that is no verdict, `afterMs`. */
  const hangs = async (
    count: number,
    afterMs: number,
    why = failure('server_error', { status: 500 }),
    control = failure('timeout'),
  ) => {
    const { clock, answer, fail, asked, controls, evidence, grades } = watchEvidence();
    answer();
    await clock.advance(1);
    for (let at = 0; at < count; at++) {
      controls.request();
      await clock.advance(afterMs);
      fail(why);
      await clock.advance(2_000 - afterMs);
      await asked[at]?.finish(control);
      // One that is reset is repeated.
      if (control.kind === 'unreachable') await asked[at + 1]?.finish(control);
      await clock.advance(1_000);
    }
    return { clock, answer, fail, evidence, grades };
  };

  test.each([
    ['none', 1],
    ['none', 2],
    ['unproven', 3],
  ])('while a key sent later gets a response, is %s if it is %d in a row', async (expected, count) => {
    const { grades } = await hangs(count, 10);
    expect(grades.at(-1)).toBe(expected);
  });

  test('is one alone where no key was sent later, or none got a response', async () => {
    for (const { grades } of [await hangs(1, 0), await hangs(1, 10, failure('timeout')), await hangs(1, 10, REFUSED)])
      expect(grades).toEqual(['unproven']);
  });

  test.each([
    ['refused', 'proven', REFUSED],
    ['reset', 'unproven', failure('unreachable')],
  ])('is one alone if it was %s, however callers fail: %s', async (_, expected, control) => {
    const { grades } = await hangs(1, 10, failure('server_error', { status: 503 }), control);
    expect(grades).toEqual([expected]);
  });

  test('and that is still open, counts for no more', async () => {
    const found = async (count: number) => {
      const { clock, fail } = await hangs(count, 10);
      const failed = fail(failure('server_error', { status: 500 }), 1_500);
      await clock.advance(10);
      fail(failure('server_error', { status: 500 }), 1_500);
      await clock.advance(1_490);
      return failed.found;
    };
    expect([await found(1), await found(2)]).toEqual(['none', 'unproven']);
  });

  test('makes a server seem as flaky as any other that failed before an answer', () => {
    const needed = (weight: number): number => {
      const trust = new ControlTrust();
      for (let times = 0; times < 6; times++) {
        trust.recordControl({ sentAt: 0, durationMs: 1, failure: OUT }, weight);
        trust.recordAnswer(1, 0, 'after');
      }
      let more = 1;
      while (!trust.isOutage(more)) more++;
      return more;
    };
    expect(needed(1)).toBeGreaterThan(3);
    expect(needed(1 / 3)).toBe(needed(1));
  });

  test('that is no sign of an outage, since others were answered, interrupts no series of those that are answered', () => {
    const trust = new ControlTrust();
    const record = (sentAt: number, why?: AttemptFailure, weight = 1): void =>
      trust.recordControl({ sentAt, durationMs: 1, failure: why }, weight);
    record(0);
    record(1, OUT);
    trust.recordAnswer(10, 0, 'after');
    record(10, OUT);
    expect(trust.isCalibrated).toBe(false);
    record(11);
    record(12, OUT, 0);
    record(13);
    expect(trust.isCalibrated).toBe(true);
  });

  test('is not a failure to connect, so it needs proof', async () => {
    const { clock, answer, fail } = watchEvidence();
    answer();
    await clock.advance(1);
    const failed = fail(REFUSED);
    await clock.advance(TIMEOUT);
    expect(failed.found).toBe('unproven');
  });
});

describe('a backlog', () => {
  /** A server that answers so many questions at once after so long, the last of them a control question or not. */
  const burst = async (atOnce: number, latencyMs: number, isControl = false) => {
    const { clock, evidence, send } = watchEvidence();
    const calls = Array.from({ length: isControl ? atOnce - 1 : atOnce }, send);
    await clock.advance(latencyMs);
    if (isControl) evidence.recordAnswer(clock.monotonic(), latencyMs, 0);
    for (const call of calls) {
      evidence.end(call);
      if (!isControl) evidence.recordAnswer(clock.monotonic(), latencyMs, 0, call);
    }
    await clock.advance(5_000);
    for (let count = 0; count < 20; count++) send();
    return { clock, lasts: () => evidence.isBacklogged };
  };

  test.each([
    ['one question', 1, 50, false],
    ['eight at once', 8, 400, false],
    ['a control question', 1, 50, true],
    ['a control question beside seven others', 8, 400, true],
  ])('lasts for as long as it takes by the answers to %s', async (_, atOnce, latencyMs, isControl) => {
    const { clock, lasts } = await burst(atOnce, latencyMs, isControl);
    await clock.advance(1.25 * 20 * 50 - 1);
    expect(lasts()).toBe(true);
    await clock.advance(1);
    expect(lasts()).toBe(false);
  });

  test.each([
    ['timeout', true],
    ['overloaded', true],
    ['server_error', false],
    ['misconfigured', false],
    [undefined, false],
  ] as const)('counts one that ended by %s: %s, as far as the server may be at work on it', async (kind, counts) => {
    const { clock, evidence, answer, send } = watchEvidence();
    answer(1_000);
    const calls = Array.from({ length: 9 }, send);
    await clock.advance(1_000);
    expect(evidence.isBacklogged).toBe(true);
    evidence.end(calls[0] ?? send(), kind);
    expect(evidence.isBacklogged).toBe(counts);
  });

  test.each([
    [1_000, 50],
    [50, 1_000],
  ])('takes the average of the answers, without the slower of %d and %d: both connected first', async (...first) => {
    const { clock, evidence, send } = watchEvidence();
    for (const latencyMs of [...first, 150]) evidence.recordAnswer(clock.monotonic(), latencyMs, 0);
    for (let count = 0; count < 20; count++) send();
    await clock.advance(1.25 * 20 * 100 - 1);
    expect(evidence.isBacklogged).toBe(true);
    await clock.advance(1);
    expect(evidence.isBacklogged).toBe(false);
  });

  test.each([
    { maxConcurrency: 16, few: 2 },
    { maxConcurrency: 64, few: 8 },
    { maxConcurrency: 512, few: 8 },
  ])('is no $few questions where maxConcurrency is $maxConcurrency, but one more', async ({ maxConcurrency, few }) => {
    const { clock, evidence, answer, send } = watchEvidence({ maxConcurrency });
    answer(1_000);
    for (let count = 0; count < few; count++) send();
    await clock.advance(1_000);
    expect(evidence.isBacklogged).toBe(false);
    send();
    expect(evidence.isBacklogged).toBe(true);
  });

  test('takes a control question for half of the average, since it shows how little work keys are that hang', async () => {
    const { clock, evidence, send } = watchEvidence();
    for (let count = 0; count < 10; count++) {
      const call = send();
      evidence.end(call);
      evidence.recordAnswer(clock.monotonic(), 100, 0, call);
    }
    for (let count = 0; count < 19; count++) send();
    // As much work as 20 questions of 5 ms: on average with what was known before, 52.5 ms each.
    evidence.recordAnswer(clock.monotonic(), 100, 0);
    await clock.advance(1.25 * 19 * 52.5 - 1);
    expect(evidence.isBacklogged).toBe(true);
    await clock.advance(1);
    expect(evidence.isBacklogged).toBe(false);
  });
});
