import { describe, expect, onTestFinished, test } from 'vitest';

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

describe('a question', () => {
  const ASK = { purpose: 'verify', url: 'https://admin.test/verify' } as const;
  const toOutcome = (attempts: number) =>
    ({ outcome: 'verified', failure: undefined, attempts, durationMs: 1 }) as const;
  const around = async (observers: readonly Observer[]): Promise<{ answer: number; asked: number }> => {
    let asked = 0;
    const ask = async (): Promise<number> => await Promise.resolve(++asked + 41);
    return { answer: await new Observers(observers).ask(ASK, ask, toOutcome), asked };
  };

  test('is asked within every observer, the first outermost', async () => {
    const order: unknown[] = [];
    const observer = (name: string): Observer => ({
      onAsk(event, run) {
        order.push([name, 'before', event]);
        void run().then((outcome) => order.push([name, 'after', outcome]));
      },
    });
    expect(await around([observer('a'), {}, observer('b')])).toEqual({ answer: 42, asked: 1 });
    const outcome = { outcome: 'verified', failure: undefined, attempts: 42, durationMs: 1 };
    expect(order).toEqual([
      ['a', 'before', ASK],
      ['b', 'before', ASK],
      ['b', 'after', outcome],
      ['a', 'after', outcome],
    ]);
  });

  test.each<[string, Observer]>([
    ['does not run it', { onAsk: () => undefined }],
    ['runs it twice', { onAsk: async (_event, run) => [await run(), await run()] }],
    [
      'throws before',
      {
        onAsk() {
          throw new Error('broken');
        },
      },
    ],
    [
      'throws after',
      {
        onAsk(_event, run) {
          void run();
          throw new Error('broken');
        },
      },
    ],
    ['rejects', { onAsk: () => Promise.reject(new Error('broken')) }],
  ])('is asked once by an observer that %s', async (_what, observer) => {
    expect(await around([observer, { onAsk: (_event, run) => run() }])).toEqual({ answer: 42, asked: 1 });
  });
});
