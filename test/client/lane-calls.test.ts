import { expect, test } from 'vitest';

import { LaneCalls, type LaneCall } from '../../src/client/lane-calls.js';

const HANGS_AFTER_MS = 250;

/** A question that was sent at this time, and whether it is given up. */
function laneCall(firstSentAt: number | undefined, { waitsToRetry = false, lagMs = 0 } = {}) {
  const call = {
    firstSentAt,
    waitsToRetry,
    isGivenUp: false,
    giveUp: () => void (call.isGivenUp = true),
  };
  return { call, lag: { ms: lagMs, stop: () => undefined } } satisfies LaneCall;
}

function makeRoom(calls: readonly ReturnType<typeof laneCall>[], noSigns: readonly unknown[] = []): boolean[] {
  const lane = new LaneCalls();
  for (const call of calls) lane.add(call);
  lane.makeRoom(1_000, { hangsAfterMs: HANGS_AFTER_MS, isNoSign: (call) => noSigns.includes(call) });
  expect(lane.size).toBe(calls.filter(({ call }) => !call.isGivenUp).length);
  return calls.map(({ call }) => call.isGivenUp);
}

const room = (...calls: ReturnType<typeof laneCall>[]) =>
  makeRoom(
    calls,
    calls.map(({ call }) => call),
  );

test('the oldest question that hangs makes room, and no other', () => {
  expect(room(laneCall(750), laneCall(750), laneCall(900))).toEqual([true, false, false]);
});

test('one that waits for its retry makes room, however young it is, and whatever it is a sign of', () => {
  expect(room(laneCall(990), laneCall(995, { waitsToRetry: true }))).toEqual([false, true]);
  expect(makeRoom([laneCall(100), laneCall(995, { waitsToRetry: true })])).toEqual([false, true]);
});

test('none makes room that is young, was not sent, or was late because of our own event loop', () => {
  expect(room(laneCall(751), laneCall(undefined), laneCall(700, { lagMs: 51 }))).toEqual([false, false, false]);
});

test('none makes room that may be a sign of an outage, but the next one may', () => {
  const [first, second] = [laneCall(100), laneCall(200)];
  expect(makeRoom([first, second])).toEqual([false, false]);
  expect(makeRoom([laneCall(100), second], [second.call])).toEqual([false, true]);
});

test('those that were sent at some moment or later are counted, and those that are yet to be sent', () => {
  const lane = new LaneCalls();
  for (const call of [laneCall(100), laneCall(200), laneCall(200), laneCall(300), laneCall(undefined)]) lane.add(call);
  expect([100, 101, 200, 201, 301].map((mono) => lane.sentSince(mono))).toEqual([5, 4, 4, 2, 1]);
});
