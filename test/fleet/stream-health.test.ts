import { describe, expect, onTestFinished, test } from 'vitest';

import type { FollowContext, PositionedMessage, RevocationSource } from 'keyverify';
import { fleet } from 'keyverify/fleet';
import { testClock } from 'keyverify/testing';

import { RevocationFollower } from '../../src/fleet/follower.js';
import { toJson } from '../../src/fleet/revocation.js';

const START = 1_000_000;
const TOKEN = 'service-token-0123456789';

/** Streams of which the test says what they deliver; each call of theirs is kept. */
function setup(names: readonly string[] = ['s']) {
  const clock = testClock({ wall: START });
  const told: string[] = [];
  const skew = { ms: 0 };
  const calls = names.map((): { context: FollowContext; end: (error: Error) => void }[] => []);
  const sources = names.map((name, at): RevocationSource => ({
    fleet,
    name,
    heartbeatMs: 1_000,
    follow: async (context) => {
      await context.token();
      await new Promise((_resolve, reject) => void calls[at]?.push({ context, end: reject }));
    },
  }));
  const follower = new RevocationFollower(sources, {
    clock,
    random: () => 0,
    scope: undefined,
    retainMs: 1,
    verifyUrl: 'https://admin.test/verify?secret=url-secret',
    token: async () => await Promise.resolve(TOKEN),
    onGap: (_, reason, problem) => told.push(`gap: ${reason}${problem === undefined ? '' : ` (${problem})`}`),
    onSilent: (source, { ms, error }) =>
      told.push(`${source} silent for ${ms} ms: ${error?.message ?? 'nothing said'}`),
    onHeard: (source, ms) => told.push(`${source} heard after ${ms} ms`),
    onUnsteady: (source, { lateMs, error }) =>
      told.push(`${source} ends, ${lateMs} ms late: ${error?.message ?? 'nothing said'}`),
    onSteady: (source) => told.push(`${source} is steady`),
    onRevocations: () => undefined,
    clockSkewMs: () => skew.ms,
  });
  onTestFinished(() => follower.close());
  return {
    clock,
    told,
    skew,
    follower,
    /** The latest call of a stream. */
    call: (at = 0) => calls[at]?.at(-1),
    sink: (at = 0) => calls[at]?.at(-1)?.context.sink,
  };
}

const revoked = (position: string, at?: number): PositionedMessage => ({
  position,
  json: toJson({ type: 'revoked', select: { keyId: 'k' }, at }),
});

describe('the health of streams', () => {
  test('is starting until what is retained has been read, then ok', async () => {
    const { clock, follower, sink } = setup();
    expect(follower.health).toEqual({ status: 'starting', since: START, lagMs: 0 });
    void follower.start();
    await clock.advance(700);
    expect(follower.health).toEqual({ status: 'starting', since: START, lagMs: 700 });
    sink()?.caughtUp();
    expect(follower.health).toEqual({ status: 'ok', since: START + 700, lagMs: 0 });
    await clock.advance(900);
    sink()?.caughtUp();
    expect(follower.health).toEqual({ status: 'ok', since: START + 700, lagMs: 0 });
  });

  test('counts in whole milliseconds', async () => {
    const { clock, follower, sink } = setup();
    void follower.start();
    await clock.advance(0.25);
    sink()?.caughtUp('1-1');
    await clock.advance(3_500);
    expect(follower.health).toEqual({ status: 'down', since: START, lagMs: 3_500 });
    await clock.advance(0.5);
    expect(follower.health).toEqual({ status: 'down', since: START, lagMs: 3_501 });
  });

  test('that deliver what cannot be read has the first of it in a second told', async () => {
    const { clock, follower, sink, told } = setup();
    void follower.start();
    await clock.advance(1);
    sink()?.deliver([{ position: '1-1', json: '{' }, revoked('0')]);
    expect(told).toEqual(['gap: unreadable (id 1-1: it is not JSON)']);
  });

  test('is down after three heartbeats without a word, since the last one, and says why without a secret', async () => {
    const { clock, follower, told, sink, call } = setup();
    void follower.start();
    await clock.advance(100);
    sink()?.caughtUp();
    call()?.end(new Error(`refused at https://admin.test/verify?secret=url-secret with ${TOKEN}`));
    await clock.advance(2_999);
    expect(follower.health.status).toBe('ok');
    await clock.advance(1_001);
    expect(follower.health).toEqual({ status: 'down', since: START + 100, lagMs: 4_000 });
    expect(told).toEqual([
      'gap: silent',
      's silent for 3000 ms: refused at https://admin.test/verify?[redacted] with [redacted]',
    ]);
    await clock.advance(10_000);
    expect(told.length).toBeGreaterThan(2);
    told.length = 0;
    sink()?.deliver([revoked('1-1')]);
    expect(told).toEqual(['s heard after 14000 ms']);
    expect(follower.health).toEqual({ status: 'ok', since: START + 14_100, lagMs: 0 });
  });

  test('is that of the worst', async () => {
    const { clock, follower, sink } = setup(['a', 'b']);
    void follower.start();
    await clock.advance(500);
    sink(0)?.caughtUp();
    expect(follower.health).toEqual({ status: 'starting', since: START, lagMs: 500 });
    await clock.advance(500);
    sink(1)?.caughtUp();
    expect(follower.health).toEqual({ status: 'ok', since: START + 1_000, lagMs: 500 });
    for (let i = 0; i < 3; i++) {
      await clock.advance(1_000);
      sink(1)?.caughtUp();
    }
    expect(follower.health).toEqual({ status: 'down', since: START + 500, lagMs: 3_500 });
  });
});

describe('a stream that ends soon after it has worked', () => {
  const HEARTBEAT_MS = 1_000;
  const FAILED = new Error(`failed with ${TOKEN}`);

  test('is opened again ever later, until it has lived for a heartbeat, and never so late that it seems silent', async () => {
    const { clock, follower, told, sink, call } = setup();
    void follower.start();
    await clock.advance(0);
    const pauses: number[] = [];
    /** It works, lives for so long, and ends. */
    const live = async (ms: number): Promise<void> => {
      const before = call();
      sink()?.caughtUp();
      await clock.advance(ms);
      sink()?.caughtUp();
      before?.end(FAILED);
      await clock.advance(0);
      const endedAt = clock.monotonic();
      while (call() === before) await clock.advance(1);
      pauses.push(clock.monotonic() - endedAt);
    };
    for (let end = 0; end < 2; end++) await live(10);
    expect([follower.health.status, told]).toEqual(['ok', []]);
    for (let end = 0; end < 4; end++) await live(end * 300);
    expect(pauses.splice(0)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    // When it ended for the third time.
    expect(follower.health).toMatchObject({ status: 'degraded', since: START + 320 });
    expect(told.splice(0)).toEqual(Array.from({ length: 4 }, () => 's ends, 1000 ms late: failed with [redacted]'));
    sink()?.caughtUp();
    await clock.advance(HEARTBEAT_MS - 1);
    sink()?.caughtUp();
    expect(follower.health.status).toBe('degraded');
    await clock.advance(1);
    sink()?.caughtUp();
    expect(follower.health).toMatchObject({ status: 'ok', since: clock.wall() });
    expect(told.splice(0)).toEqual(['s is steady']);
    for (let end = 0; end < 2; end++) await live(HEARTBEAT_MS);
    expect([pauses, told]).toEqual([[100, 100], []]);
  });

  test('is down once it does not work any more', async () => {
    const { clock, follower, told, sink, call } = setup();
    void follower.start();
    await clock.advance(0);
    for (let end = 0; end < 3; end++) {
      sink()?.caughtUp();
      call()?.end(FAILED);
      await clock.advance(0);
      await clock.advance(500);
    }
    expect(follower.health.status).toBe('degraded');
    await clock.advance(3_000);
    expect(follower.health.status).toBe('down');
    expect(told).toContain('gap: silent');
  });
});

describe('lag', () => {
  /** A stream that was caught up a minute after its start, and is heard of all the time. */
  async function live() {
    const made = setup();
    const { clock, follower, sink } = made;
    void follower.start();
    await clock.advance(0);
    sink()?.caughtUp();
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 1_000) {
        await clock.advance(1_000);
        sink()?.caughtUp();
      }
    };
    await pass(100_000);
    return { ...made, pass };
  }

  test('is how late a message took effect, for a minute', async () => {
    const { clock, follower, sink, pass } = await live();
    sink()?.deliver([revoked('1-1', clock.wall() - 4_000), revoked('1-2', clock.wall() - 7_000), revoked('1-3')]);
    expect(follower.health.lagMs).toBe(7_000);
    sink()?.deliver([revoked('1-4', clock.wall() - 1_000)]);
    await pass(59_000);
    expect(follower.health.lagMs).toBe(7_000);
    await pass(1_000);
    expect(follower.health.lagMs).toBe(0);
    sink()?.deliver([revoked('1-5', clock.wall() - 1_000)]);
    expect(follower.health.lagMs).toBe(1_000);
  });

  test('does not grow by what comes again after a gap, nor by what was retained before the start', async () => {
    const { clock, follower, sink } = await live();
    sink()?.deliver([revoked('1-1', clock.wall() - 1_000)]);
    sink()?.deliver([revoked('1-1', clock.wall() - 50_000), revoked('1-2', clock.wall() - 500)]);
    expect(follower.health.lagMs).toBe(1_000);
    const late = setup();
    void late.follower.start();
    await late.clock.advance(300);
    late.sink()?.deliver([revoked('1-1', START - 3_600_000)]);
    expect(late.follower.health.lagMs).toBe(300);
  });

  test.each([
    ['from the future', 5_000, 0, 0],
    ['from a server whose clock is as far behind as is known', -41_000, 40_000, 1_000],
    ['from a server whose clock is ahead', -1_000, -40_000, 1_000],
    ['within what a Date can tell', -1_500, 2_000, 1_500],
  ])('is not made up by a clock: %s', async (_what, atMs, skewMs, lagMs) => {
    const { clock, follower, sink, skew } = await live();
    skew.ms = skewMs;
    sink()?.deliver([revoked('1-1', clock.wall() + atMs)]);
    expect(follower.health.lagMs).toBe(lagMs);
  });
});
