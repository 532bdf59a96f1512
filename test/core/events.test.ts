import { expect, onTestFinished, test } from 'vitest';

import { callSafely } from '../../src/core/events.js';

test('a function of the caller gets the argument itself', () => {
  const heard: unknown[] = [];
  const event = { a: 1 };
  callSafely((it) => heard.push(it), event);
  expect(heard[0]).toBe(event);
});

test('a function of the caller may be missing', () => {
  expect(() => callSafely(undefined, 1)).not.toThrow();
});

test('what a function of the caller throws or rejects with is ignored', async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  callSafely(() => {
    throw new Error('broken hook');
  }, 1);
  callSafely(() => Promise.reject(new Error('broken hook')), 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});
