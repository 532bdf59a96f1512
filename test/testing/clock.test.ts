import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

import { describe, expect, it, vi } from 'vitest';

import { testClock, type TestClock } from 'keyverify/testing';

const START = Date.parse('2026-01-01T00:00:00Z');

/** Both clocks, as far as they have moved. */
const moved = (clock: TestClock): number[] => [clock.wall() - START, clock.monotonic() - 1_000];

describe('a test clock', () => {
  it.each([
    [undefined, START],
    [{}, START],
    [{ wall: 5 }, 5],
    [{ wall: new Date(7) }, 7],
  ])('starts where it is told: %o', (options, wall) => {
    expect(testClock(options).wall()).toBe(wall);
  });

  it('stands still until it is advanced, on both clocks', async () => {
    const clock = testClock();
    await new Promise(setImmediate);
    expect(moved(clock)).toEqual([0, 0]);
    await clock.advance(1_500);
    expect(moved(clock)).toEqual([1_500, 1_500]);
  });

  it('runs the timers that fall due, in order, each at its own time', async () => {
    const clock = testClock();
    const ran: [string, number][] = [];
    const run = (name: string) => () => void ran.push([name, clock.monotonic() - 1_000]);
    clock.after(20, run('later'));
    clock.after(10, run('sooner'));
    clock.after(10, run('sooner, set second'));
    clock.after(31, run('too late'));
    await clock.advance(30);
    expect(ran).toEqual([
      ['sooner', 10],
      ['sooner, set second', 10],
      ['later', 20],
    ]);
    expect([clock.pending, ...moved(clock)]).toEqual([1, 30, 30]);
    await clock.advance(1);
    expect(ran.at(-1)).toEqual(['too late', 31]);
    expect(clock.pending).toBe(0);
  });

  it('runs timers that a timer sets, and one that is due already', async () => {
    const clock = testClock();
    const ran: number[] = [];
    const every = (): void => {
      ran.push(clock.monotonic() - 1_000);
      clock.after(10, every);
    };
    clock.after(0, every);
    await clock.advance(25);
    expect(ran).toEqual([0, 10, 20]);
  });

  it('lets promises settle after each timer and at the end', async () => {
    const clock = testClock();
    const seen: string[] = [];
    clock.after(1, () => void Promise.resolve().then(() => seen.push('promise')));
    clock.after(2, () => seen.push('timer'));
    await clock.advance(5);
    expect(seen).toEqual(['promise', 'timer']);
  });

  it('advances until a promise has settled, and no further', async () => {
    const clock = testClock();
    const due = new Promise((resolve) => clock.after(25, () => resolve('due')));
    expect(await clock.settle(due, 1_000)).toBe('due');
    expect(moved(clock)).toEqual([30, 30]);
    const failed = new Promise((_, reject) => clock.after(5, () => reject(new Error('late'))));
    await expect(clock.settle(failed, 1_000, 1)).rejects.toThrow('late');
    expect(moved(clock)).toEqual([35, 35]);
  });

  it('does not overtake a socket', async () => {
    const clock = testClock();
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const refused = once(connect(port, '127.0.0.1'), 'connect');
    await expect(clock.settle(refused, 60_000)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(clock.monotonic()).toBeLessThan(61_000);
  });

  it('gives a network that is late some real time', async () => {
    const clock = testClock();
    const { port1, port2 } = new MessageChannel();
    const pending = clock.settle(once(port1, 'message'), 20);
    while (clock.monotonic() < 1_020) await new Promise((resolve) => setTimeout(resolve, 1));
    port2.postMessage('at last');
    await pending;
    port1.close();
    expect(moved(clock)).toEqual([20, 20]);
  });

  it('rejects if the promise does not settle within the time', async () => {
    const clock = testClock();
    await expect(clock.settle(new Promise(() => undefined), 25)).rejects.toThrow(
      'keyverify: the promise has not settled within 25 ms of this clock: give it longer, or pass this clock to what it waits for',
    );
    expect(moved(clock)).toEqual([30, 30]);
    const settled = Promise.reject(new Error('its own'));
    await expect(clock.settle(settled, 0)).rejects.toThrow('its own');
    expect(await clock.settle({ then: (resolve) => resolve?.(7) } as Promise<number>, 0)).toBe(7);
  });

  it.each<[unknown, string]>([
    [async () => await Promise.resolve(), 'a function'],
    [undefined, 'undefined'],
    [{}, 'an object'],
  ])('settles promises, not %s', async (given, got) => {
    await expect(testClock().settle(given as Promise<void>, 10)).rejects.toThrow(
      `promise: expected a promise, got ${got}`,
    );
  });

  it('does not run a timer that was cancelled', async () => {
    const clock = testClock();
    const run = vi.fn();
    clock.after(1, run)();
    await clock.advance(1);
    expect(run).not.toHaveBeenCalled();
  });

  it('jumps on one clock alone, without running timers', async () => {
    const clock = testClock();
    const run = vi.fn();
    clock.after(10, run);
    clock.jumpWall(-60_000);
    clock.jumpMono(50);
    expect(moved(clock)).toEqual([-60_000, 50]);
    expect(run).not.toHaveBeenCalled();
    await clock.advance(0);
    expect(run).toHaveBeenCalledOnce();
    expect(moved(clock)).toEqual([-60_000, 50]);
  });

  it('may be passed on function by function', async () => {
    const clock = testClock();
    const { wall, monotonic, after } = clock;
    const run = vi.fn();
    after(5, run);
    await clock.advance(10);
    expect([wall() - START, monotonic() - 1_000, run.mock.calls.length]).toEqual([10, 10, 1]);
  });

  it.each([['5 min'], [-1], [NaN], [Infinity], [undefined]])('does not move by %s', async (ms) => {
    const clock = testClock();
    const wrong = ms as number;
    await expect(clock.advance(wrong)).rejects.toThrow(/ms: expected a number of milliseconds, 0 or more, got /);
    await expect(clock.settle(Promise.resolve(), wrong)).rejects.toThrow(/atMostMs: expected a number of milliseconds/);
    expect(() => clock.jumpMono(wrong)).toThrow(/ms: expected a number of milliseconds, 0 or more, got /);
    if (ms !== -1) expect(() => clock.jumpWall(wrong)).toThrow(/ms: expected a number of milliseconds, got /);
    expect(moved(clock)).toEqual([0, 0]);
  });

  it('settles in steps that lead somewhere', async () => {
    await expect(testClock().settle(Promise.resolve(), 10, 0)).rejects.toThrow(
      'stepMs: expected a positive number of milliseconds, got 0',
    );
  });

  it('rejects with what a timer throws', async () => {
    const clock = testClock();
    clock.after(1, () => {
      throw new Error('in a timer');
    });
    await expect(clock.advance(1)).rejects.toThrow('in a timer');
  });

  it('works under the fake timers of a test runner', async () => {
    vi.useFakeTimers();
    try {
      const clock = testClock();
      await clock.advance(10);
      expect(moved(clock)).toEqual([10, 10]);
    } finally {
      vi.useRealTimers();
    }
  });
});
