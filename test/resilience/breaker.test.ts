import { describe, expect, test } from 'vitest';

import { VerifyFailure } from 'keyverify';

import { Breaker, type BreakerState } from '../../src/resilience/breaker.js';

const OUT = new VerifyFailure('unreachable', 'gone');
const PROBE_MS = 2_000;

function breaker(random = 0) {
  const changes: [BreakerState, VerifyFailure | undefined][] = [];
  const settings = { failureThreshold: 3, openMs: 1_000, maxOpenMs: 5_000 };
  const it = new Breaker(
    settings,
    PROBE_MS,
    () => random,
    (state, failure) => changes.push([state, failure]),
  );
  return {
    it,
    changes,
    /** Loses the server at this moment. */
    open: (mono = 0) => {
      for (let times = 0; times < 3; times++) it.fail(OUT, mono, 'ask');
    },
  };
}

describe('a closed breaker', () => {
  test('lets everybody ask', () => {
    const { it } = breaker();
    expect(it.state).toBe('closed');
    expect(it.permit(0)).toBe('ask');
    expect(it.permit(0)).toBe('ask');
  });

  test('opens at the threshold, not before, and tells why', () => {
    const { it, changes } = breaker();
    it.fail(OUT, 0, 'ask');
    it.fail(OUT, 0, 'ask');
    expect(it.state).toBe('closed');
    const last = new VerifyFailure('timeout', 'late');
    it.fail(last, 0, 'ask');
    expect(it.state).toBe('open');
    expect(changes).toEqual([['open', last]]);
  });

  test('counts failures in a row only', () => {
    const { it, changes } = breaker();
    for (let times = 0; times < 5; times++) {
      it.fail(OUT, 0, 'ask');
      it.fail(OUT, 0, 'ask');
      it.succeed();
    }
    expect(it.state).toBe('closed');
    expect(changes).toEqual([]);
  });
});

describe('an open breaker', () => {
  test('lets nobody ask for openMs, and says how long', () => {
    const { it, open } = breaker();
    open(100);
    expect(it.permit(100)).toEqual({ retryAfterMs: 1_000 });
    expect(it.permit(1_099)).toEqual({ retryAfterMs: 1 });
    expect(it.state).toBe('open');
    expect(it.permit(1_100)).toBe('probe');
  });

  test('stays open for as little as half of it, at random', () => {
    const { it, open } = breaker(1);
    open();
    expect(it.permit(0)).toEqual({ retryAfterMs: 500 });
    const half = breaker(0.5);
    half.open();
    expect(half.it.permit(0)).toEqual({ retryAfterMs: 750 });
  });

  test('is not opened again by questions that were in the air', () => {
    const { it, open, changes } = breaker();
    open();
    open(900);
    expect(it.permit(900)).toEqual({ retryAfterMs: 100 });
    expect(changes).toHaveLength(1);
  });

  test('closes when a question that was in the air is answered', () => {
    const { it, open, changes } = breaker();
    open();
    it.succeed();
    expect(it.permit(0)).toBe('ask');
    expect(it.openUntil).toBe(-Infinity);
    expect(changes.map(([state]) => state)).toEqual(['open', 'closed']);
    expect(changes[1]?.[1]).toBeUndefined();
  });
});

describe('a half-open breaker', () => {
  const probing = (random = 0) => {
    const rig = breaker(random);
    rig.open();
    expect(rig.it.permit(1_000)).toBe('probe');
    return rig;
  };

  test('lets one probe through, and nobody else', () => {
    const { it, changes } = probing();
    expect(it.state).toBe('half-open');
    expect(it.permit(1_000)).toEqual({ retryAfterMs: PROBE_MS });
    expect(changes.map(([state]) => state)).toEqual(['open', 'half-open']);
  });

  test('lets another probe through when the first never came back', () => {
    const { it, changes } = probing();
    expect(it.permit(2_999)).toEqual({ retryAfterMs: 1 });
    expect(it.permit(3_000)).toBe('probe');
    expect(it.permit(3_000)).toEqual({ retryAfterMs: PROBE_MS });
    expect(changes).toHaveLength(2);
  });

  test('closes when the probe is answered', () => {
    const { it, open } = probing();
    it.succeed();
    expect(it.state).toBe('closed');
    expect(it.permit(1_000)).toBe('ask');
    open(2_000);
    expect(it.permit(2_000)).toEqual({ retryAfterMs: 1_000 });
  });

  test('opens again when the probe fails, twice as long each time, up to maxOpenMs', () => {
    const { it, changes } = probing();
    let now = 1_000;
    const lengths = [1, 2, 3, 4].map(() => {
      it.fail(OUT, now, 'probe');
      const permit = it.permit(now);
      const ms = typeof permit === 'object' ? permit.retryAfterMs : NaN;
      now += ms;
      expect(it.permit(now)).toBe('probe');
      return ms;
    });
    expect(lengths).toEqual([2_000, 4_000, 5_000, 5_000]);
    expect(changes.slice(1, 4).map(([state]) => state)).toEqual(['half-open', 'open', 'half-open']);
    expect(changes[2]?.[1]).toBe(OUT);
  });

  test('is not opened by a question that set out before, however many failed', () => {
    const { it, open } = probing();
    open(1_500);
    expect(it.state).toBe('half-open');
    expect(it.permit(1_500)).toEqual({ retryAfterMs: 1_500 });
  });

  test('is counted from nothing once it has closed', () => {
    const { it } = probing();
    it.succeed();
    it.fail(OUT, 1_000, 'ask');
    it.fail(OUT, 1_000, 'ask');
    expect(it.state).toBe('closed');
  });
});
