import { describe, expect, test } from 'vitest';

import { Backlog } from '../../src/resilience/backlog.js';

const TIMEOUT_MS = 2_000;
const FEW = 8;

/** A server that has answered once, works for so long on each request, and is sent a burst. */
function burst(requests: number, { workMs = 50, idleMs = 5_000 } = {}) {
  const backlog = new Backlog(TIMEOUT_MS, FEW);
  backlog.recordAnswer(0, 0);
  let mono = idleMs;
  const add = (): void => backlog.add(mono);
  for (let count = 0; count < requests; count++) add();
  const answer = (left: number): void => backlog.recordAnswer(mono, left);
  const lastsAfter = (ms: number): boolean => backlog.lasts((mono += ms), workMs);
  return { backlog, add, answer, lastsAfter };
}

describe('a backlog', () => {
  test.each([
    ['one and a quarter times as long as all of it takes, one after the other', 20, {}, 1_250],
    ['longer where each takes longer', 20, { workMs: 100 }, 2_500],
  ])('lasts for %s', (_, requests, server, ms) => {
    const { lastsAfter } = burst(requests, server);
    expect(lastsAfter(ms - 1)).toBe(true);
    expect(lastsAfter(1)).toBe(false);
  });

  test('is none where somebody was answered of late', () => {
    const { lastsAfter, answer } = burst(40);
    expect(lastsAfter(499)).toBe(false);
    expect(lastsAfter(1)).toBe(true);
    answer(39);
    expect(lastsAfter(0)).toBe(false);
    expect(lastsAfter(499)).toBe(false);
    // Those that were sent before are still unanswered.
    expect(lastsAfter(1)).toBe(true);
  });

  test('is more than a few', () => {
    const { backlog, add, lastsAfter } = burst(FEW, { workMs: 1_000 });
    expect(lastsAfter(1_000)).toBe(false);
    add();
    expect(lastsAfter(0)).toBe(true);
    // The server is done with those that it refuses.
    backlog.drop();
    expect(lastsAfter(0)).toBe(false);
  });

  test('lasts for ten timeouts at most, however much is asked meanwhile', () => {
    const { lastsAfter } = burst(60, { workMs: 1_900 });
    expect(lastsAfter(10 * TIMEOUT_MS - 1)).toBe(true);
    expect(lastsAfter(1)).toBe(false);
  });

  test('is none at a server that is quick enough', () => {
    const { lastsAfter } = burst(64, { workMs: 5 });
    expect(lastsAfter(500)).toBe(false);
  });

  test('counts from when the first was sent, not from the latest answer', () => {
    const { lastsAfter } = burst(20, { idleMs: 60_000 });
    expect(lastsAfter(1_249)).toBe(true);
  });
});
