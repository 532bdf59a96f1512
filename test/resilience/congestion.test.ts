import { describe, expect, test } from 'vitest';

import { Congestion, type InFlight } from '../../src/resilience/congestion.js';

const TIMEOUT_MS = 2_000;

interface Queue {
  /** How long the server works on each request; it works on one at a time, in order of arrival. */
  readonly workMs: number;
  readonly requests: number;
}

/** How many are in flight that were sent at some moment. */
const sent = (count: number, at = 0): InFlight => ({ size: count, sentSince: (mono) => (mono <= at ? count : 0) });

/** A burst of requests is sent at once, and answered as far as the time allows. */
function burst({ workMs, requests }: Queue) {
  const congestion = new Congestion(TIMEOUT_MS);
  let at = 0;
  for (let left = requests - 1; left >= 0 && at + workMs < TIMEOUT_MS; left--) {
    at += workMs;
    congestion.record(at, 0, at, sent(left));
  }
  return { congestion, at };
}

/** Requests that a server answers after so long, each, in parallel. */
function parallel(congestion: Congestion, from: number, ms: number, { perSecond = 20, latencyMs = 10 } = {}) {
  const others = Math.floor((latencyMs * perSecond) / 1_000);
  for (let at = from + latencyMs; at <= from + ms; at += 1_000 / perSecond)
    congestion.record(at, at - latencyMs, latencyMs, sent(others, at));
}

describe('a server at which requests queue', () => {
  test.each([
    { workMs: 25, requests: 100 },
    { workMs: 50, requests: 64 },
    { workMs: 100, requests: 32 },
    { workMs: 500.1, requests: 8 },
    { workMs: 1_900, requests: 2 },
  ])('is congested, working $workMs ms on each of $requests', (queue) => {
    const { congestion, at } = burst(queue);
    expect(congestion.lasts(at)).toBe(true);
  });

  test.each([
    { workMs: 5, requests: 64 },
    { workMs: 50, requests: 10 },
    // All are answered within a quarter of the timeout.
    { workMs: 500, requests: 1 },
    // Nobody else waits.
    { workMs: 1_900, requests: 1 },
  ])('is not where it answers in time, working $workMs ms on each of $requests', (queue) => {
    const { congestion, at } = burst(queue);
    expect(congestion.lasts(at)).toBe(false);
  });

  test('bears as many as it answers within the timeout, with some to spare', () => {
    const { congestion } = burst({ workMs: 50, requests: 64 });
    expect(congestion.capacity).toBeGreaterThan(0.6 * (TIMEOUT_MS / 50));
    expect(congestion.capacity).toBeLessThan(0.8 * (TIMEOUT_MS / 50));
  });

  test.each([1, 2, 5, 20, 100])(
    'bears eight tenths of what it answers within the timeout: %d a second',
    (perSecond) => {
      const congestion = new Congestion(TIMEOUT_MS);
      parallel(congestion, 0, 20_000, { perSecond });
      const ratio = congestion.capacity / (0.8 * 2 * perSecond);
      expect(ratio).toBeGreaterThan(0.9);
      expect(ratio).toBeLessThan(1.1);
    },
  );
});

describe('congestion', () => {
  /** One of fifty-one that were sent at once was answered after a second. */
  const congested = () => {
    const congestion = new Congestion(TIMEOUT_MS);
    congestion.record(1_000, 0, 1_000, sent(50));
    return congestion;
  };

  test('may last for twenty timeouts without an answer', () => {
    expect(congested().lasts(1_000 + 20 * TIMEOUT_MS - 0.1)).toBe(true);
    expect(congested().lasts(1_000 + 20 * TIMEOUT_MS)).toBe(false);
  });

  test('ends when nothing is in flight any more', () => {
    for (const [left, lasts] of [
      [1, true],
      [0, false],
    ] as const) {
      const congestion = congested();
      congestion.record(1_600, 1_590, 10, sent(left));
      expect(congestion.lasts(1_600)).toBe(lasts);
    }
  });

  test('ends with the answer to a request that was sent last', () => {
    const congestion = congested();
    congestion.end(1_600, 1_100);
    expect(congestion.lasts(1_600)).toBe(false);
  });

  test.each([
    [999.9, true],
    [1_000, false],
  ])('ends when all answers of a timeout say otherwise: after %d ms', (ms, lasts) => {
    const congestion = congested();
    for (const after of [500, 2 * ms]) congestion.record(1_000 + after, 2_000, 1_000, sent(1));
    expect(congestion.lasts(1_000 + 2 * ms)).toBe(lasts);
  });

  test('is a reason to send less once for all requests that were sent before', () => {
    const congestion = congested();
    expect(congestion.isSilent).toBe(false);
    expect(congestion.endsRound(1_100, 0)).toBe(true);
    expect(congestion.endsRound(1_200, 1_099.9)).toBe(false);
    expect(congestion.isSilent).toBe(true);
    expect(congestion.endsRound(3_100, 1_100)).toBe(true);
    expect(congestion.endsRound(3_200, 1_100)).toBe(false);
    congestion.record(3_300, 3_100, 200, sent(50, 4_000));
    expect(congestion.isSilent).toBe(false);
  });

  test('is no reason to send less where the request that is late was overtaken', () => {
    const congestion = congested();
    congestion.record(1_700, 1_100, 600, sent(50, 2_000));
    expect(congestion.endsRound(3_000, 1_099.9)).toBe(false);
    congestion.end(1_900, 1_850);
    congestion.record(2_600, 1_200, 1_400, sent(50, 3_000));
    expect(congestion.endsRound(3_800, 1_800)).toBe(false);
    expect(congestion.endsRound(3_900, 1_850)).toBe(true);
  });
});

test.each([
  [4, false],
  [5, true],
])('three answers at once leave room for four more: with %i in flight', (others, lasts) => {
  const congestion = new Congestion(TIMEOUT_MS);
  for (const left of [0, 0, others]) congestion.record(1_000, 0, 1_000, sent(left));
  expect(congestion.capacity).toBe(4);
  expect(congestion.lasts(1_000)).toBe(lasts);
});

describe('a server that is not congested', () => {
  test('is silent from a request that timed out until the next answer', () => {
    const congestion = new Congestion(TIMEOUT_MS);
    expect(congestion.isSilent).toBe(false);
    expect(congestion.endsRound(2_000, 0)).toBe(true);
    expect(congestion.isSilent).toBe(true);
    congestion.end(2_000, 1_900);
    expect(congestion.isSilent).toBe(false);
  });

  test('is one that has not answered yet', () => {
    const congestion = new Congestion(TIMEOUT_MS);
    expect(congestion.lasts(0)).toBe(false);
  });

  test('is slow for all alike, after the first answers', () => {
    const congestion = new Congestion(TIMEOUT_MS);
    parallel(congestion, 0, 6_000, { latencyMs: 1_400 });
    expect(congestion.lasts(6_000)).toBe(false);
  });

  test('has overtaken those that were sent before the one that it answers', () => {
    const congestion = new Congestion(TIMEOUT_MS);
    congestion.record(1_000, 100, 900, sent(50, 99));
    expect(congestion.lasts(1_000)).toBe(false);
    congestion.record(1_000, 100, 900, sent(50, 100));
    expect(congestion.lasts(1_000)).toBe(true);
  });
});
