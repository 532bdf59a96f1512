import { expect, test } from 'vitest';

import { UnknownCalls, type UnknownCall } from '../../src/client/unknown-calls.js';

const HANGS_AFTER_MS = 250;

/** A question that was sent at this time, and whether it was given up. */
function unknownCall(firstSentAt: number | undefined, { waitsToRetry = false, lagMs = 0 } = {}) {
  const call = {
    firstSentAt,
    waitsToRetry,
    end: '',
    abandon: () => void (call.end = 'given up'),
    skipRetry: () => void (call.end = 'without its retry'),
  };
  return { call, lag: { ms: lagMs, stop: () => undefined } } satisfies UnknownCall;
}

function makeRoom(calls: readonly ReturnType<typeof unknownCall>[], answered: readonly unknown[] = []): string[] {
  const unknown = new UnknownCalls();
  for (const call of calls) unknown.add(call);
  unknown.makeRoom(1_000, HANGS_AFTER_MS, (call) => answered.includes(call));
  expect(unknown.size).toBe(calls.length - calls.filter(({ call }) => call.end !== '').length);
  return calls.map(({ call }) => call.end);
}

const room = (...calls: ReturnType<typeof unknownCall>[]) =>
  makeRoom(
    calls,
    calls.map(({ call }) => call),
  );

test('the oldest question that hangs makes room, and no other', () => {
  expect(room(unknownCall(750), unknownCall(750), unknownCall(900))).toEqual(['given up', '', '']);
});

test('one that waits for its retry goes without it, however young it is, and whoever is answered', () => {
  expect(room(unknownCall(990), unknownCall(995, { waitsToRetry: true }))).toEqual(['', 'without its retry']);
  expect(makeRoom([unknownCall(100), unknownCall(995, { waitsToRetry: true })])).toEqual(['', 'without its retry']);
});

test('none makes room that is young, was not sent, or was late because of our own event loop', () => {
  expect(room(unknownCall(751), unknownCall(undefined), unknownCall(700, { lagMs: 51 }))).toEqual(['', '', '']);
});

test('none makes room while nobody else was answered, but the next one may', () => {
  const [first, second] = [unknownCall(100), unknownCall(200)];
  expect(makeRoom([first, second])).toEqual(['', '']);
  expect(makeRoom([unknownCall(100), second], [second.call])).toEqual(['', 'given up']);
});
