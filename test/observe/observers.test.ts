import { expect, onTestFinished, test } from 'vitest';

import type { Observer } from 'keyverify';

import { Observers } from '../../src/observe/observers.js';

const EVENT = { selector: 'all', count: 3 } as const;

test('every observer is told, in order, as a method of its own', () => {
  const heard: unknown[] = [];
  class Recorder implements Observer {
    readonly name: string;
    constructor(name: string) {
      this.name = name;
    }
    onInvalidate(event: unknown): void {
      heard.push([this.name, event]);
    }
  }
  new Observers([new Recorder('a'), new Recorder('b')]).tell((o) => o.onInvalidate?.(EVENT));
  expect(heard).toEqual([
    ['a', EVENT],
    ['b', EVENT],
  ]);
});

test('an event is built only for an observer that wants it', () => {
  let built = 0;
  const event = () => ({ selector: 'all', count: ++built }) as const;
  new Observers([{}, { onStale: () => undefined }]).tell((o) => o.onInvalidate?.(event()));
  expect(built).toBe(0);
});

test('an observer that throws or rejects does not keep the event from the others', async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  const heard: unknown[] = [];
  const throwing: Observer = {
    onInvalidate() {
      throw new Error('broken');
    },
  };
  const rejecting: Observer = { onInvalidate: () => Promise.reject(new Error('broken')) };
  const last: Observer = { onInvalidate: (event) => heard.push(event) };
  new Observers([throwing, rejecting, last]).tell((o) => o.onInvalidate?.(EVENT));
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toEqual([EVENT]);
  expect(unhandled).toEqual([]);
});
