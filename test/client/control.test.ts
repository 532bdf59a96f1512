import { describe, expect, test, vi } from 'vitest';

import type { ControlOptions } from '../../src/client/control.js';
import { randomControlKey } from '../../src/core/control-key.js';
import { testClock } from 'keyverify/testing';
import { CONTROL_TIMEOUT_MS, failure, fakeControls } from '../helpers/control.js';

function setUp(options?: Partial<ControlOptions>) {
  const clock = testClock();
  return { clock, start: clock.monotonic(), ...fakeControls(clock, options) };
}

describe('the key of a control question', () => {
  test('is random, 128 bits of it, and new each time', () => {
    const keys = Array.from({ length: 100 }, randomControlKey);
    for (const key of keys) expect(key).toMatch(/^keyverify-control-[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(100);
  });

  test('keeps the zeros at the start of a byte', () => {
    vi.spyOn(crypto, 'getRandomValues').mockImplementationOnce((bytes) => bytes);
    expect(randomControlKey()).toBe(`keyverify-control-${'0'.repeat(32)}`);
  });
});

describe('a control question', () => {
  test('is asked at once, and reports its outcome', async () => {
    const { clock, controls, asked, results, start } = setUp();
    expect([controls.pending, controls.last, controls.count]).toEqual([undefined, undefined, 0]);
    controls.request();
    expect(asked).toMatchObject([{ key: 'control-1', timeoutMs: CONTROL_TIMEOUT_MS }]);
    expect(controls.pending).toMatchObject({ sentAt: start, isSent: true, lagMs: 0 });
    await clock.advance(40);
    await asked[0]?.finish();
    expect(results).toEqual([{ sentAt: start, durationMs: 40, failure: undefined }]);
    expect(controls).toMatchObject({ pending: undefined, last: results[0], count: 1 });
  });

  test('reports its failure', async () => {
    const { controls, asked, results } = setUp();
    controls.request();
    await asked[0]?.finish(failure('server_error'));
    expect(results).toMatchObject([{ failure: { kind: 'server_error' } }]);
  });

  test('says whether it has been handed to a connection, as it is now', () => {
    const { controls, asked } = setUp();
    controls.request();
    Object.assign(asked[0] ?? {}, { isSent: false });
    expect(controls.pending?.isSent).toBe(false);
    Object.assign(asked[0] ?? {}, { isSent: true });
    expect(controls.pending?.isSent).toBe(true);
  });

  test('is one at a time', () => {
    const { controls, asked } = setUp();
    controls.request();
    controls.request();
    expect([asked.length, controls.count]).toEqual([1, 1]);
  });

  test.each([
    ['comes next where it fails', failure('timeout'), ['control-1', 'control-2']],
    ['is not needed where it is answered', undefined, ['control-1']],
  ])('makes a probe wait that %s', async (_, outcome, keys) => {
    const { clock, controls, asked } = setUp();
    controls.request();
    controls.request(100, true);
    await asked[0]?.finish(outcome);
    await clock.advance(10_000);
    expect(asked.map(({ key }) => key)).toEqual(keys);
  });

  test('may be given less time, also where it has to wait for the interval', async () => {
    const { clock, controls, asked } = setUp();
    controls.request(750);
    await asked[0]?.finish();
    controls.request(900);
    controls.request(50);
    await clock.advance(1_000);
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([750, 900]);
  });

  test('whose runtime has ended with its request expires after twice its time', async () => {
    const { clock, controls, asked } = setUp();
    controls.request(800);
    await clock.advance(1_599);
    controls.request();
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(controls.pending).toBeUndefined();
    controls.request();
    expect(asked).toHaveLength(2);
  });

  test('whose key cannot be made is not asked, and opens nothing', async () => {
    const controlKey = () => {
      throw new RangeError('no more keys');
    };
    const { clock, controls, asked, results } = setUp({ controlKey });
    controls.request();
    await clock.advance(0);
    expect([asked.length, controls.count, controls.pending]).toEqual([0, 0, undefined]);
    const cause = { name: 'RangeError', message: 'no more keys' };
    expect(results).toMatchObject([
      { failure: { kind: 'misconfigured', message: 'keyverify: controlKey() failed', cause } },
    ]);
  });
});

describe('the interval', () => {
  test.each([
    ['a second after a quick one has ended', 0, 1_000],
    ['a second after one of 200 ms has ended', 200, 1_200],
    ['1 250 ms after a slow one has begun', 900, 1_250],
  ])('puts the next one off until %s', async (_, tookMs, nextAt) => {
    const { clock, controls, asked } = setUp();
    controls.request();
    await clock.advance(tookMs);
    await asked[0]?.finish();
    controls.request();
    controls.request();
    expect(clock.pending).toBe(1);
    await clock.advance(nextAt - tookMs - 1);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test('is over at once where the last one hung', async () => {
    const { clock, controls, asked } = setUp();
    controls.request();
    await clock.advance(2_000);
    await asked[0]?.finish(failure('timeout'));
    controls.request();
    expect(asked).toHaveLength(2);
  });

  test('starts anew with each: ten in ten seconds, however often they are asked for', async () => {
    const { clock, controls, asked } = setUp();
    for (let ms = 0; ms < 9_900; ms += 10) {
      controls.request();
      await asked.at(-1)?.finish(failure('server_error'));
      await clock.advance(10);
    }
    expect(asked).toHaveLength(10);
  });

  test('is waited for in the background, which keeps no process alive', async () => {
    const { clock, controls, asked } = setUp();
    const after = vi.spyOn(clock, 'after');
    controls.request();
    await asked[0]?.finish();
    controls.request();
    expect(after).toHaveBeenCalledExactlyOnceWith(1_000, expect.any(Function), true);
  });
});

describe('a hang-up', () => {
  test('is repeated once, at once, about another key', async () => {
    const { clock, controls, asked, results, start } = setUp();
    controls.request(500);
    await clock.advance(10);
    await asked[0]?.finish(failure('unreachable'));
    expect(asked).toMatchObject([{}, { key: 'control-2', timeoutMs: 500 }]);
    expect([results, controls.pending?.sentAt, controls.count]).toEqual([[], start, 2]);
    await clock.advance(10);
    await asked[1]?.finish(failure('unreachable'));
    expect(results).toMatchObject([{ sentAt: start, durationMs: 20, failure: { kind: 'unreachable' } }]);
    expect(asked).toHaveLength(2);
  });

  test('that was the idle-connection race is no failure', async () => {
    const { controls, asked, results } = setUp();
    controls.request();
    await asked[0]?.finish(failure('unreachable'));
    await asked[1]?.finish();
    expect(results).toMatchObject([{ failure: undefined }]);
  });

  test.each([
    failure('unreachable', { unconnected: true }),
    failure('server_error'),
    failure('timeout'),
    failure('misconfigured'),
  ])('is repeated after no other failure (%#)', async (other) => {
    const { controls, asked, results } = setUp();
    controls.request();
    await asked[0]?.finish(other);
    expect([asked.length, results.length]).toEqual([1, 1]);
  });
});

describe('close', () => {
  test('asks no more, and leaves no timer', async () => {
    const { clock, controls, asked } = setUp();
    controls.request();
    await asked[0]?.finish();
    controls.request();
    expect(clock.pending).toBe(1);
    controls.close();
    expect(clock.pending).toBe(0);
    await clock.advance(5_000);
    controls.request();
    expect(asked).toHaveLength(1);
  });

  test('may come before the first question', () => {
    const { controls, asked } = setUp();
    controls.close();
    controls.request();
    expect(asked).toHaveLength(0);
  });
});
