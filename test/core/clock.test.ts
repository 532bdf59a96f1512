import { afterEach, describe, expect, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';

import { cachedClock, systemClock } from '../../src/core/clock.js';
import { testClock } from 'keyverify/testing';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('the system clock', () => {
  test('reads the wall clock, and a monotonic one', () => {
    const [before, start] = [Date.now(), performance.now()];
    expect(systemClock.wall()).toBeGreaterThanOrEqual(before);
    expect(systemClock.wall()).toBeLessThanOrEqual(Date.now());
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(start);
    expect(systemClock.monotonic()).toBeLessThanOrEqual(performance.now());
  });

  test('runs what is due in its order, unless it was cancelled', async () => {
    const ran: string[] = [];
    const cancel = systemClock.after(0, () => ran.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      systemClock.after(5, () => {
        ran.push('later');
        resolve();
      });
      systemClock.after(1, () => ran.push('sooner'));
    });
    expect(ran).toEqual(['sooner', 'later']);
  });

  test.each([
    [undefined, true],
    [false, true],
    [true, false],
  ])('with background %s, a timer keeps the process alive: %s', (background, keeps) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const cancel = systemClock.after(60_000, () => undefined, background);
    expect(timers() - before).toBe(Number(keeps));
    cancel();
    expect(timers()).toBe(before);
  });

  test.each([7, null, {}])('copes with a runtime whose timers cannot be unreferenced: %j', (timer) => {
    const cleared: unknown[] = [];
    vi.stubGlobal('setTimeout', () => timer);
    vi.stubGlobal('clearTimeout', (it: unknown) => cleared.push(it));
    systemClock.after(1, () => undefined, true)();
    expect(cleared).toEqual([timer]);
  });
});

function stopSystemClocks(): { wall: (at: number) => void; mono: (at: number) => void; readings: () => number } {
  const wall = vi.spyOn(Date, 'now').mockReturnValue(1_000);
  const mono = vi.spyOn(performance, 'now').mockReturnValue(5);
  return {
    wall: (at) => wall.mockReturnValue(at),
    mono: (at) => mono.mockReturnValue(at),
    readings: () => mono.mock.calls.length,
  };
}

describe('a cached clock', () => {
  test('reads the monotonic clock once within a millisecond', () => {
    const system = stopSystemClocks();
    const now = cachedClock(systemClock);
    expect(now()).toEqual({ wall: 1_000, mono: 5 });
    system.mono(5.9);
    expect(now()).toEqual({ wall: 1_000, mono: 5 });
    expect(system.readings()).toBe(1);
  });

  test.each([1_001, 999, 9_000_000])('reads anew when the wall clock says %d', (at) => {
    const system = stopSystemClocks();
    const now = cachedClock(systemClock);
    now();
    system.wall(at);
    system.mono(77);
    expect(now()).toEqual({ wall: at, mono: 77 });
  });

  test("asks a caller's own clock every time", async () => {
    const clock = testClock();
    const now = cachedClock(clock);
    const { wall, mono } = now();
    clock.jumpMono(10);
    expect(now()).toEqual({ wall, mono: mono + 10 });
    await clock.advance(5);
    expect(now()).toEqual({ wall: wall + 5, mono: mono + 15 });
  });

  test('is what a verifier without a clock of its own reads', async () => {
    const body = new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A"}');
    const header = (name: string) => (name === 'content-type' ? 'application/json' : undefined);
    const verifier = new KeyVerifier({
      verifyUrl: 'http://127.0.0.1:1/',
      serviceToken: 'token',
      transport: {
        send: () => ({ response: Promise.resolve({ status: 200, header, body }), abort: () => undefined }),
      },
    });
    await verifier.verify('sk-1');
    const system = stopSystemClocks();
    for (let i = 0; i < 100; i++) verifier.peek('sk-1');
    expect(system.readings()).toBe(1);
    await verifier.close();
  });
});
