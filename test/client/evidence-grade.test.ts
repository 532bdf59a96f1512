import { describe, expect, test } from 'vitest';

import type { AttemptFailure, Evidence } from '../../src/core/failure.js';
import { failure } from '../helpers/control.js';
import { OUT, REFUSED, watchEvidence } from '../helpers/evidence.js';

const RESET = failure('unreachable');

test('control questions fail by themselves where callers are answered all the same, until one is answered', async () => {
  const { clock, controls, answer, asked, evidence } = watchEvidence();
  const control = async (why?: AttemptFailure) => {
    await clock.advance(2_000);
    controls.request();
    await asked.at(-1)?.finish(why);
    return evidence.trust.controlsFail;
  };
  answer();
  expect(evidence.trust.controlsFail).toBe(false);
  // Nobody has been answered since, as in an outage.
  expect(await control(OUT)).toBe(false);
  answer();
  expect([evidence.trust.controlsFail, await control(OUT), await control()]).toEqual([true, true, false]);
  await control(OUT);
  answer();
  expect(evidence.trust.controlsFail).toBe(false);
});

describe('a server that limits how many unknown keys it is asked about, and answers good ones', () => {
  /** A trusted server, and a control question to it that fails, or else is answered. */
  const trusted = async () => {
    const given = watchEvidence();
    const { clock, controls, asked, grades, answer, send } = given;
    const control = async (why?: AttemptFailure): Promise<Evidence | undefined> => {
      await clock.advance(2_000);
      controls.request();
      await asked.at(-1)?.finish(why);
      return grades.at(-1);
    };
    answer();
    await control();
    const caller = (): void => answer(10, 0, send());
    /** Whether a control question is asked by itself. */
    const isAsked = async (): Promise<boolean> => {
      await clock.advance(1_000);
      return controls.pending !== undefined;
    };
    /** What looks like an outage, although a caller is answered. Whether it is, another control question has to tell. */
    const dispute = async (): Promise<readonly [Evidence | undefined, boolean]> => {
      const grade = await control(OUT);
      caller();
      return [grade, await isAsked()];
    };
    return { ...given, control, caller, dispute, isAsked };
  };

  test('proves nothing once a control question fails again after a caller was answered in an outage', async () => {
    const { control, dispute, evidence, isAsked } = await trusted();
    expect(await dispute()).toEqual(['proven', true]);
    expect([await control(OUT), evidence.trust.isCalibrated, evidence.trust.controlsFail]).toEqual([
      'none',
      false,
      true,
    ]);
    expect(await isAsked()).toBe(false);
    // Nobody has been answered for a while by then: it may be down.
    expect(await control(OUT)).toBe('unproven');
  });

  test('is down where no connection can be made, however soon after an answer', async () => {
    const { clock, evidence, answer } = watchEvidence();
    const control = (why: AttemptFailure): Evidence =>
      evidence.recordControl({ sentAt: clock.monotonic(), durationMs: 1, failure: why });
    answer();
    await clock.advance(1);
    control(OUT);
    answer();
    await clock.advance(1);
    expect(evidence.trust.controlsFail).toBe(true);
    // So many in a row are no bad luck.
    const grades = Array.from({ length: 8 }, () => control(REFUSED));
    expect([grades.at(-1), control(OUT)]).toEqual(['proven', 'none']);
  });

  test('is trusted as before where two control questions in a row are answered: the outage is over', async () => {
    const { control, dispute, evidence, isAsked } = await trusted();
    await dispute();
    await control();
    expect([await isAsked(), evidence.trust.isCalibrated]).toEqual([true, true]);
    await control();
    expect([await isAsked(), evidence.trust.isCalibrated]).toEqual([false, true]);
    // The next outage is found out as fast as this one was.
    expect(await dispute()).toEqual(['proven', true]);
  });

  test('is not trusted where the first is answered and the second fails', async () => {
    const { control, dispute, evidence, isAsked } = await trusted();
    await dispute();
    await control();
    expect([await control(OUT), evidence.trust.isCalibrated, await isAsked()]).toEqual(['none', false, false]);
  });

  test('is trusted as before where a control question still hangs from the outage when a caller is answered', async () => {
    const { asked, controls, clock, control, caller, evidence, isAsked } = await trusted();
    await control(OUT);
    await clock.advance(1_000);
    controls.request();
    await clock.advance(1);
    caller();
    await clock.advance(1_000);
    await asked.at(-1)?.finish(OUT);
    expect([await isAsked(), evidence.trust.isCalibrated]).toEqual([true, true]);
  });

  test('is disputed where a caller is answered while the control question hangs that had shown an outage', async () => {
    const { asked, clock, caller, control, evidence, fail, isAsked } = await trusted();
    const early = { firstSentAt: clock.monotonic() };
    await clock.advance(1_000);
    const failed = fail(failure('timeout'), 1_000);
    await clock.advance(1_000);
    expect(failed.found).toBe('proven');
    // One that was asked before says nothing: it may have waited in the same queue.
    evidence.recordAnswer(clock.monotonic(), 10, 0, early);
    expect(evidence.trust.isDisputed).toBe(false);
    const again = fail(failure('timeout'), 500);
    await clock.advance(500);
    expect(again.found).toBe('proven');
    caller();
    expect(evidence.trust.isDisputed).toBe(true);
    // Until that is settled, it shows nothing more.
    await clock.advance(1);
    const next = fail(failure('timeout'), 400);
    await clock.advance(400);
    expect(next.found).toBe('none');
    // Nor does its end: it may hang from an outage that is over. The next one tells.
    await asked.at(-1)?.finish(failure('timeout'));
    expect([await isAsked(), evidence.trust.isCalibrated]).toEqual([true, true]);
    await asked.at(-1)?.finish(OUT);
    expect([evidence.trust.isCalibrated, await control()]).toEqual([false, 'none']);
  });

  test('is not trusted, and asked no more, where callers are answered while the control questions after a dispute fail', async () => {
    const { asked, clock, caller, dispute, evidence, isAsked } = await trusted();
    expect(await dispute()).toEqual(['proven', true]);
    await clock.advance(1);
    caller();
    await asked.at(-1)?.finish(OUT);
    expect([await isAsked(), evidence.trust.isCalibrated, evidence.trust.controlsFail]).toEqual([false, false, true]);
    caller();
    await clock.advance(1_000);
    expect(await isAsked()).toBe(false);
  });

  test('is trusted again after two answers in a row, then after four, then after eight', async () => {
    const { clock, control, caller, evidence } = await trusted();
    /** How many answers it takes after a dispute. */
    const answers = async (): Promise<number> => {
      for (let failed = 0; failed < 8; failed++) await control(OUT);
      caller();
      await clock.advance(1);
      await control(OUT);
      // Not in a row.
      await control();
      await control(OUT);
      let count = 0;
      for (; !evidence.trust.isCalibrated && count < 20; count++) await control();
      return count;
    };
    expect([await answers(), await answers(), await answers(), await answers()]).toEqual([2, 4, 8, 8]);
  });

  test('is not doubted for an answer to what was asked before it went down', async () => {
    const { control, answer, send, clock, isAsked } = await trusted();
    const before = send();
    expect(await control(OUT)).toBe('proven');
    await clock.advance(1);
    answer(3_000, 0, before);
    expect([await isAsked(), await control(OUT), await control(OUT)]).toEqual([false, 'proven', 'proven']);
  });

  test('is flaky where such a question was answered at its second attempt', async () => {
    const { control, answer, send } = await trusted();
    const before = send();
    await control(OUT);
    answer(3_000, 1, before);
    expect(await control(OUT)).toBe('none');
  });

  test.each(['rate_limited', 'misconfigured', 'invalid_response'] as const)(
    'is not down where a control question after others comes to %s',
    async (kind) => {
      const { control } = await trusted();
      const grades = [await control(OUT), await control(failure(kind, { status: 429 })), await control(failure(kind))];
      expect(grades).toEqual(['proven', 'none', 'none']);
    },
  );

  test('is asked no more where the control question after such an answer is refused for another reason', async () => {
    const { control, dispute, evidence, isAsked } = await trusted();
    expect(await dispute()).toEqual(['proven', true]);
    await control(failure('rate_limited', { status: 429 }));
    expect([await isAsked(), evidence.trust.isCalibrated]).toEqual([false, true]);
  });

  test('may be down as before where a control question fails for our own load', async () => {
    const { control } = await trusted();
    expect([await control(OUT), await control(failure('overloaded'))]).toEqual(['proven', 'proven']);
  });

  test('is not doubted where a control question was answered first, or failed less often than by chance', async () => {
    const { control, caller, isAsked } = await trusted();
    await control(OUT);
    await control();
    caller();
    expect(await isAsked()).toBe(false);
    // Since it has failed, one is not enough.
    expect(await control(OUT)).toBe('none');
    caller();
    expect(await isAsked()).toBe(false);
  });
});

describe('evidence', () => {
  /** The grade of a failure and of the control question after it, where the server has answered this before. */
  const graded = async (
    before: 'nothing' | 'a question' | 'a control',
    why: AttemptFailure,
    control: AttemptFailure,
  ) => {
    const { clock, controls, answer, asked, fail, grades, evidence } = watchEvidence();
    if (before === 'a question') answer();
    if (before === 'a control') {
      controls.request();
      await asked[0]?.finish();
    }
    expect(evidence.trust.isCalibrated).toBe(before === 'a control');
    await clock.advance(5_000);
    const failed = fail(why);
    await asked.at(-1)?.finish(control);
    // A control question that was hung up on is repeated.
    if (control === RESET) await asked.at(-1)?.finish(control);
    return [failed.found, grades.at(-1)];
  };

  test.each<[Parameters<typeof graded>[0], AttemptFailure, AttemptFailure, Evidence, Evidence]>([
    ['nothing', OUT, OUT, 'proven', 'proven'],
    ['nothing', REFUSED, REFUSED, 'proven', 'proven'],
    ['a control', OUT, RESET, 'proven', 'proven'],
    ['a question', OUT, OUT, 'unproven', 'unproven'],
    ['a question', RESET, RESET, 'unproven', 'unproven'],
    // Without a connection no key has left this process.
    ['a question', REFUSED, REFUSED, 'proven', 'proven'],
    ['a question', REFUSED, OUT, 'unproven', 'unproven'],
    ['a question', OUT, REFUSED, 'unproven', 'proven'],
  ])('after the server answered %s (%#) is %s', async (before, why, control, question, alone) => {
    expect(await graded(before, why, control)).toEqual([question, alone]);
  });

  test('is still proven by the control question that was once answered, however long ago', async () => {
    const { clock, controls, asked, answer, fail } = watchEvidence();
    controls.request();
    await asked[0]?.finish();
    await clock.advance(3_600_000);
    answer();
    await clock.advance(1);
    const failed = fail();
    await asked[1]?.finish(OUT);
    expect(failed.found).toBe('proven');
  });
});

describe('how many control questions must fail in a row', () => {
  /** After answers that took so many failed attempts each. */
  const needed = async (answers: readonly number[]): Promise<number> => {
    const { clock, evidence, answer } = watchEvidence();
    for (const failedAttempts of answers) answer(10, failedAttempts);
    await clock.advance(1);
    for (let count = 1; count < 20; count++)
      if (evidence.recordControl({ sentAt: clock.monotonic(), durationMs: 1, failure: OUT }) !== 'none') return count;
    return Infinity;
  };
  const times = (count: number, failedAttempts = 0): readonly number[] =>
    Array.from({ length: count }, () => failedAttempts);

  test.each<[string, readonly number[], number]>([
    ['that has answered nothing yet', [], 1],
    ['that always answers', times(100), 1],
    ['that failed the first attempt', [1], 5],
    ['that failed the second one', [0, 1], 4],
    ['that failed two attempts in a row', [2], 6],
    ['that fails every other attempt', times(40, 1), 8],
    ['that fails nearly all attempts', [9], 8],
    ['that failed one of 12 attempts', [...times(10), 1], 4],
    ['that failed one of 14 attempts', [...times(12), 1], 4],
    ['that failed one of 100 attempts', [...times(98), 1], 3],
    ['that failed one of 100 attempts, 14 before the last', [...times(84), 1, ...times(13)], 3],
    ['that failed one of 100 attempts, 15 before the last', [...times(83), 1, ...times(14)], 1],
    ['that failed two of 100 attempts, one after the other', [...times(97), 2], 4],
    ['that failed the first of 12 attempts', [1, ...times(10)], 4],
    ['that failed the first of 39 attempts', [1, ...times(37)], 3],
    ['that failed the first of 40 attempts', [1, ...times(38)], 1],
    ['that failed two of 100 attempts, long ago', [2, ...times(97)], 1],
  ])('of a server %s', async (_, answers, expected) => {
    expect(await needed(answers)).toBe(expected);
  });

  /** After so many control questions have failed before an answer that took so many failed attempts itself. */
  const afterControls = async (failed: number, answered: string, failedAttempts: number): Promise<number> => {
    const { clock, evidence, answer, send } = watchEvidence();
    const control = () => evidence.recordControl({ sentAt: clock.monotonic(), durationMs: 1, failure: OUT });
    for (let count = 0; count < failed; count++) control();
    answer(10, failedAttempts, answered === 'a caller' ? send() : undefined);
    // Soon after an answer, a server that has answered no control question proves nothing.
    await clock.advance(5_000);
    for (let count = 1; count < 20; count++) if (control() !== 'none') return count;
    return Infinity;
  };

  test.each([
    [1, 'a caller', 0, 5],
    [2, 'a caller', 0, 6],
    [3, 'a caller', 0, 8],
    [1, 'a caller', 3, 5],
    [1, 'a control question', 0, 5],
  ])('%i that failed before %s is answered, after %i attempts, count as failures', async (...given) => {
    const [failed, answered, failedAttempts, expected] = given;
    expect(await afterControls(failed, answered, failedAttempts)).toBe(expected);
  });

  test.each([
    [4, 'a caller', 0],
    [4, 'a caller', 3],
    [2, 'a control question', 0],
  ])('%i that failed before %s is answered, after %i attempts, were an outage', async (...given) => {
    expect(await afterControls(...given)).toBe(1);
  });

  test('starts anew with any answer', async () => {
    const { clock, evidence, answer } = watchEvidence();
    const control = (): Evidence => evidence.recordControl({ sentAt: clock.monotonic(), durationMs: 1, failure: OUT });
    answer(10, 1);
    await clock.advance(1);
    expect([control(), control(), control(), control()]).toEqual(['none', 'none', 'none', 'none']);
    answer();
    await clock.advance(1);
    expect(control()).toBe('none');
  });

  test('does not count those that failed for another reason, or while others were answered', async () => {
    const { clock, evidence, answer } = watchEvidence();
    answer();
    await clock.advance(1);
    const sentAt = clock.monotonic();
    expect(evidence.recordControl({ sentAt, durationMs: 1, failure: failure('misconfigured') })).toBe('none');
    expect(evidence.recordControl({ sentAt: sentAt - 2, durationMs: 1, failure: OUT })).toBe('none');
    expect(evidence.recordControl({ sentAt, durationMs: 1, failure: OUT })).toBe('unproven');
  });
});

describe('how long an answer usually takes', () => {
  test.each([
    [1_000, 10],
    [10, 1_000],
  ])('is an average, over 32 answers at most, without the slower of %d and %d: both connected first', (...first) => {
    const { evidence, answer, send } = watchEvidence();
    const call = send();
    expect(evidence.usualMs).toBe(0);
    answer(first[0], 0, call);
    expect(evidence.usualMs).toBe(first[0]);
    answer(first[1], 0, call);
    expect(evidence.usualMs).toBe(10);
    answer(30, 0, call);
    expect(evidence.usualMs).toBe(20);
    for (let count = 2; count < 32; count++) answer(20, 0, call);
    expect(evidence.usualMs).toBeCloseTo(20, 9);
    answer(52, 0, call);
    expect(evidence.usualMs).toBeCloseTo(21, 9);
  });

  test('and the latest one tell what is unusual: where requests queue, the average lags behind', () => {
    const { evidence, answer } = watchEvidence();
    const call = { firstSentAt: 0 };
    for (let count = 0; count < 3; count++) answer(20, 0, call);
    answer(500, 0, call);
    expect(evidence.unusualMs).toBe(1_500);
    answer(20, 0, call);
    expect(evidence.unusualMs).toBe(3 * evidence.usualMs);
  });

  test('leaves out an answer that a control question or a good new key has overtaken', async () => {
    const { clock, evidence, answer, send } = watchEvidence();
    const call = send();
    answer(1_000, 0, call);
    answer(20, 0, call);
    await clock.advance(100);
    evidence.overtake(clock.monotonic() - 10);
    answer(500, 0, call);
    expect([evidence.usualMs, evidence.unusualMs]).toEqual([20, 60]);
    // A control question overtakes what was sent before it, and one that was sent earlier takes nothing back.
    answer(9);
    evidence.overtake(0);
    const known = [evidence.usualMs, evidence.unusualMs];
    answer(10, 0, call);
    expect([evidence.usualMs, evidence.unusualMs]).toEqual(known);
    // What was sent with it counts.
    answer(9, 0, call);
    expect(evidence.usualMs).toBeLessThan(known[0] ?? 0);
  });
});

describe('where callers cannot wait for each other', () => {
  test('each looks for evidence every 10 ms by a timer of its own', async () => {
    const { clock, fail, asked, answer } = watchEvidence({ sharesPromises: false });
    const failed = fail();
    await clock.advance(0);
    await asked[0]?.finish(OUT);
    expect(failed.found).toBeUndefined();
    await clock.advance(9);
    expect(failed.found).toBeUndefined();
    await clock.advance(1);
    expect([failed.found, clock.pending]).toEqual(['proven', 0]);
    await clock.advance(2_000);
    const other = fail();
    await clock.advance(1);
    answer();
    await clock.advance(10);
    expect(other.found).toBe('none');
  });

  test('none waits past its deadline', async () => {
    const { clock, fail } = watchEvidence({ sharesPromises: false });
    const failed = fail(OUT, 15);
    await clock.advance(14);
    expect(failed.found).toBeUndefined();
    await clock.advance(1);
    expect([failed.found, clock.pending]).toEqual(['none', 0]);
  });
});
