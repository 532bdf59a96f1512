import { getEventListeners } from 'node:events';

import { describe, expect, test } from 'vitest';

import { unlessAborted } from '../../src/client/unless-aborted.js';

const never = new Promise<never>(() => undefined);

describe('a caller with a signal', () => {
  test('gets the outcome, where it comes first', async () => {
    const controller = new AbortController();
    expect(await unlessAborted(Promise.resolve('verdict'), controller.signal)).toBe('verdict');
    controller.abort(new Error('too late'));
  });

  test('gets the outcome, where both come at once', async () => {
    const controller = new AbortController();
    const waiting = unlessAborted(Promise.resolve('verdict'), controller.signal);
    controller.abort(new Error('a moment too late'));
    expect(await waiting).toBe('verdict');
  });

  test('gets an outcome of undefined, too', async () => {
    const outcome: Promise<unknown> = Promise.resolve(undefined);
    expect(await unlessAborted(outcome, new AbortController().signal)).toBeUndefined();
  });

  test('gets the reason of the signal, where that comes first', async () => {
    const controller = new AbortController();
    const reason = new Error('the request was cancelled');
    const waiting = unlessAborted(never, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test('leaves without ending the wait of others', async () => {
    const [one, other] = [new AbortController(), new AbortController()];
    let land: (verdict: string) => void = () => undefined;
    const outcome = new Promise<string>((resolve) => {
      land = resolve;
    });
    const waits = [unlessAborted(outcome, one.signal), unlessAborted(outcome, other.signal)];
    one.abort('gone');
    await expect(waits[0]).rejects.toBe('gone');
    land('verdict');
    expect(await waits[1]).toBe('verdict');
  });

  test('ends all waits on one signal at once', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const waits = [unlessAborted(never, signal), unlessAborted(never, signal)];
    controller.abort('gone');
    expect(await Promise.allSettled(waits)).toEqual([
      { status: 'rejected', reason: 'gone' },
      { status: 'rejected', reason: 'gone' },
    ]);
  });

  test('may use one signal for many calls, without the warning of a leak', async () => {
    const { signal } = new AbortController();
    const calls = Array.from({ length: 20 }, () => unlessAborted(Promise.resolve('verdict'), signal));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await Promise.all(calls);
    await unlessAborted(Promise.resolve('verdict'), signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  });
});
