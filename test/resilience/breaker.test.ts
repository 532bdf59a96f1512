import { describe, expect, test } from 'vitest';

import { Breaker } from '../../src/resilience/breaker.js';

const THRESHOLD = 3;

function setUp({ random = 0, openMs = 1_000, maxOpenMs = 5_000 } = {}) {
  const changes: string[] = [];
  const breaker = new Breaker<string>(
    { failureThreshold: THRESHOLD, openMs, maxOpenMs },
    () => random,
    (state, failure) => changes.push(`${state} ${String(failure)}`),
  );
  return {
    breaker,
    changes,
    /** Opens it. */
    open: (mono = 0, minPauseMs = 0) => {
      for (let times = 0; times < THRESHOLD; times++) breaker.recordFailure('gone', mono, minPauseMs);
    },
  };
}

describe('a closed breaker', () => {
  test('opens at the threshold, not before, and gives the last failure', () => {
    const { breaker, changes } = setUp();
    breaker.recordFailure('first', 0);
    breaker.recordFailure('second', 0);
    expect([breaker.state, breaker.failure]).toEqual(['closed', undefined]);
    breaker.recordFailure('last', 0);
    expect([breaker.state, breaker.failure]).toEqual(['open', 'last']);
    expect(changes).toEqual(['open last']);
  });

  test('counts only failures in a row', () => {
    const { breaker, changes } = setUp();
    for (let times = 0; times < 5; times++) {
      breaker.recordFailure('gone', 0);
      breaker.recordFailure('gone', 0);
      breaker.recordSuccess();
    }
    expect(breaker.state).toBe('closed');
    expect(changes).toEqual([]);
  });
});

describe('an open breaker', () => {
  test('gives the latest failure, and reports only the first', () => {
    const { breaker, changes, open } = setUp();
    open();
    breaker.recordFailure('still gone', 500);
    expect(breaker.failure).toBe('still gone');
    expect(changes).toEqual(['open gone']);
  });

  test('closes with the first success, and then counts from nothing', () => {
    const { breaker, changes, open } = setUp();
    open();
    breaker.recordSuccess();
    expect([breaker.state, breaker.failure]).toEqual(['closed', undefined]);
    expect(changes).toEqual(['open gone', 'closed undefined']);
    breaker.recordFailure('gone', 0);
    breaker.recordFailure('gone', 0);
    expect(breaker.state).toBe('closed');
  });

  test('is half-open while a probe is under way, and open again when it fails', () => {
    const { breaker, changes, open } = setUp();
    open();
    breaker.beginProbe(1_000);
    expect([breaker.state, breaker.failure]).toEqual(['half-open', 'gone']);
    // A probe that never comes back keeps nobody from the next.
    breaker.beginProbe(2_000);
    breaker.recordFailure('still gone', 2_100);
    breaker.beginProbe(3_000);
    breaker.recordSuccess();
    expect(changes).toEqual([
      'open gone',
      'half-open gone',
      'open still gone',
      'half-open still gone',
      'closed undefined',
    ]);
  });
});

describe('the next probe', () => {
  test.each([
    [0, 1_000],
    [0.5, 875],
    [1, 750],
  ])('is due after openMs, shortened by up to a quarter at random: %d', (random, pauseMs) => {
    const { breaker, open } = setUp({ random });
    open(100);
    expect(breaker.probeAt).toBe(100 + pauseMs);
  });

  test.each([
    [400, 1_000],
    [3_000, 3_000],
    [60_000, 5_000],
  ])('waits for the Retry-After that opened it, up to maxOpenMs: %d', (minPauseMs, pauseMs) => {
    const { breaker, open } = setUp();
    open(100, minPauseMs);
    expect(breaker.probeAt).toBe(100 + pauseMs);
  });

  test('is not put off by failures while it is open', () => {
    const { breaker, open } = setUp();
    open();
    breaker.recordFailure('gone', 900, 4_000);
    expect(breaker.probeAt).toBe(1_000);
    breaker.beginProbe(1_000);
    breaker.recordFailure('gone', 1_500, 4_000);
    expect(breaker.probeAt).toBe(2_000);
  });

  test('comes every openMs at first, then after a tenth of the time it has been open, up to maxOpenMs', () => {
    const { breaker, open } = setUp();
    open(7_000);
    const pauseAfter = (openForMs: number): number => {
      breaker.beginProbe(7_000 + openForMs);
      return breaker.probeAt - 7_000 - openForMs;
    };
    expect([1_000, 9_000, 10_000, 12_000, 40_000, 50_000, 900_000].map(pauseAfter)).toEqual([
      1_000, 1_000, 1_000, 1_200, 4_000, 5_000, 5_000,
    ]);
  });

  test('comes after maxOpenMs where openMs is longer', () => {
    const { breaker, open } = setUp({ openMs: 10_000 });
    open();
    expect(breaker.probeAt).toBe(5_000);
  });

  test('counts from the latest opening', () => {
    const { breaker, open } = setUp();
    open(0);
    breaker.recordSuccess();
    open(50_000);
    breaker.beginProbe(51_000);
    expect(breaker.probeAt).toBe(52_000);
  });
});
