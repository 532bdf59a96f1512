import { expect, test } from 'vitest';

import { LaneCalls, type LaneCall } from '../../src/client/lane-calls.js';

const HANGS_AFTER_MS = 250;

/** A question that was sent at this time, and whether it was given up. */
function laneCall(firstSentAt: number | undefined, { waitsToRetry = false, lagMs = 0 } = {}) {
  const call = {
    firstSentAt,
    waitsToRetry,
    end: '',
    abandon: () => void (call.end = 'given up'),
    skipRetry: () => void (call.end = 'without its retry'),
  };
  return { call, lag: { ms: lagMs, stop: () => undefined } } satisfies LaneCall;
}

function makeRoom(calls: readonly ReturnType<typeof laneCall>[], answered: readonly unknown[] = []): string[] {
  const lane = new LaneCalls();
  for (const call of calls) lane.add(call);
  lane.makeRoom(1_000, HANGS_AFTER_MS, (call) => answered.includes(call));
  expect(lane.size).toBe(calls.length - calls.filter(({ call }) => call.end !== '').length);
  return calls.map(({ call }) => call.end);
}

const room = (...calls: ReturnType<typeof laneCall>[]) =>
  makeRoom(
    calls,
    calls.map(({ call }) => call),
  );

test('the oldest question that hangs makes room, and no other', () => {
  expect(room(laneCall(750), laneCall(750), laneCall(900))).toEqual(['given up', '', '']);
});

test('one that waits for its retry goes without it, however young it is, and whoever is answered', () => {
  expect(room(laneCall(990), laneCall(995, { waitsToRetry: true }))).toEqual(['', 'without its retry']);
  expect(makeRoom([laneCall(100), laneCall(995, { waitsToRetry: true })])).toEqual(['', 'without its retry']);
});

test('none makes room that is young, was not sent, or was late because of our own event loop', () => {
  expect(room(laneCall(751), laneCall(undefined), laneCall(700, { lagMs: 51 }))).toEqual(['', '', '']);
});

test('none makes room while nobody else was answered, but the next one may', () => {
  const [first, second] = [laneCall(100), laneCall(200)];
  expect(makeRoom([first, second])).toEqual(['', '']);
  expect(makeRoom([laneCall(100), second], [second.call])).toEqual(['', 'given up']);
});

test('those that were sent at some moment or later are counted, and those that are yet to be sent', () => {
  const lane = new LaneCalls();
  for (const call of [laneCall(100), laneCall(200), laneCall(200), laneCall(300), laneCall(undefined)]) lane.add(call);
  expect([100, 101, 200, 201, 301].map((mono) => lane.sentSince(mono))).toEqual([5, 4, 4, 2, 1]);
});
