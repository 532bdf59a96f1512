import { afterEach, expect, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';

import { systemClock, cachedClock } from '../../src/core/clock.js';
import { FakeClock } from '../helpers/clock.js';

afterEach(() => {
  vi.restoreAllMocks();
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

test('within a millisecond the system tells one moment, and reads its monotonic clock once', () => {
  const system = stopSystemClocks();
  const now = cachedClock(systemClock);
  expect(now()).toEqual({ wall: 1_000, mono: 5 });
  system.mono(5.9);
  expect(now()).toEqual({ wall: 1_000, mono: 5 });
  expect(system.readings()).toBe(1);
});

test.each([1_001, 999, 9_000_000])('a millisecond that is another is read anew, be it %d', (at) => {
  const system = stopSystemClocks();
  const now = cachedClock(systemClock);
  now();
  system.wall(at);
  system.mono(77);
  expect(now()).toEqual({ wall: at, mono: 77 });
});

test("a caller's own clock is asked every time", async () => {
  const clock = new FakeClock();
  const now = cachedClock(clock);
  const { wall, mono } = now();
  clock.jumpMono(10);
  expect(now()).toEqual({ wall, mono: mono + 10 });
  await clock.advance(5);
  expect(now()).toEqual({ wall: wall + 5, mono: mono + 15 });
});

test('a verifier without a clock of its own keeps time by the system', async () => {
  const verifier = new KeyVerifier({
    verifyUrl: 'http://127.0.0.1:1/',
    serviceToken: 'token',
    transport: {
      send: () => ({
        response: Promise.resolve({
          status: 200,
          header: (name) => (name === 'content-type' ? 'application/json' : undefined),
          body: new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A"}'),
        }),
        abort: () => undefined,
      }),
    },
  });
  await verifier.verify('sk-1');
  const system = stopSystemClocks();
  for (let i = 0; i < 100; i++) verifier.peek('sk-1');
  expect(system.readings()).toBe(1);
  await verifier.close();
});
