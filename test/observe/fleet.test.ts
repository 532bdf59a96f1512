import { describe, expect, test } from 'vitest';

import type { Health, KeyVerifierOptions, Observer, RevocationSource } from 'keyverify';
import { fleet as support } from 'keyverify/fleet';
import { memoryFleet, testClock } from 'keyverify/testing';

import { GOOD, OTHER, rig, settle, until } from '../helpers/rig.js';
import { faultyStore, type StoreFault } from '../helpers/store.js';

/** A key server, and a fleet whose store fails on demand. */
async function fleetRig() {
  const made = await rig();
  const fleet = memoryFleet({ clock: made.clock });
  const { sharedCache, state } = faultyStore(fleet);
  const lines: string[] = [];
  const log = (level: string) => (line: string) => {
    lines.push(`${level} ${line}`);
  };
  const logger = { warn: log('warn'), info: log('info') };
  const member = (options: KeyVerifierOptions = {}) =>
    made.build({ sharedCache, revocations: fleet.revocations, retries: 0, logger, ...options });
  return { ...made, fleet, state, lines, member };
}

const fingerprintOf = (n: number): string => `sk-unknown-${n}`;

/** Keys that nobody knows: each is a read of the store. */
async function askNew(verify: (key: string) => Promise<unknown>, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await verify(fingerprintOf(n));
}

describe('stats()', () => {
  test('counts operations on the shared cache, by what they were and how reads ended', async () => {
    const { fleet, clock, state, member } = await fleetRig();
    const a = member();
    await a.verify(GOOD);
    await until(() => fleet.sharedCache.size === 1);
    await clock.advance(280_000);
    await a.verify(GOOD);
    await until(() => a.stats().refreshes === 1 && a.stats().shared.operations.put === 2);
    expect(a.stats().shared).toEqual({
      operations: { get: 2, put: 2, lease: 1, probe: 0 },
      hits: 1,
      misses: 1,
      unsealable: 0,
      failures: 0,
    });
    state.fault = 'throw';
    await a.verify(OTHER);
    await clock.advance(1_000);
    await until(() => a.stats().shared.failures === 2);
    expect(a.stats().shared.operations).toEqual({ get: 3, put: 2, lease: 1, probe: 1 });
  });

  test('counts revocations, changes and gaps', async () => {
    const { fleet, member } = await fleetRig();
    const verifier = member();
    await verifier.verify(GOOD);
    await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'k-1' } });
    await fleet.revocations.publish({ type: 'changed', select: { tenant: 'cust-A' } });
    await fleet.revocations.publish({ type: 'changed', select: { client: 'acme' } });
    fleet.revocations.gap();
    expect(verifier.stats().revocations).toEqual({ messages: 3, revoked: 1, gaps: 1, down: false });
  });
});

describe('observers', () => {
  test('are around every operation on the shared cache, and are told how it ended', async () => {
    const { fleet, clock, state, member } = await fleetRig();
    const told: unknown[] = [];
    const onShared: Observer['onShared'] = async ({ operation }, run) => {
      const { outcome, error, durationMs } = await run();
      told.push([operation, outcome, error?.message, durationMs]);
    };
    const verifier = member({ observers: [{ onShared }] });
    await verifier.verify(GOOD);
    await until(() => told.length === 2);
    await member().verify(OTHER);
    state.fault = 'hang';
    await settle(verifier.verify('sk-new'), clock, 1_000);
    state.fault = 'throw';
    await clock.advance(1_000);
    await until(() => told.length === 4);
    state.fault = undefined;
    await clock.advance(1_000);
    await until(() => told.length === 5);
    expect(fleet.sharedCache.size).toBe(1);
    expect(told).toEqual([
      ['get', 'miss', undefined, 0],
      ['put', 'hit', undefined, 0],
      ['get', 'timeout', undefined, expect.any(Number)],
      ['probe', 'error', 'refused: "[redacted]" "[redacted]"', 0],
      ['probe', 'miss', undefined, 0],
    ]);
  });

  test('are told of revocations by type, and of gaps with their reason', async () => {
    const { fleet, clock, member } = await fleetRig();
    const told: unknown[] = [];
    const silent: RevocationSource = {
      fleet: support,
      name: 's',
      heartbeatMs: 1_000,
      follow: async () => await new Promise(() => undefined),
    };
    const observer: Observer = {
      onRevocation: (event) => told.push(event),
      onRevocationGap: (event) => told.push(event),
    };
    const verifier = member({ observers: [observer], revocations: [fleet.revocations, silent] });
    await settle(verifier.verify(GOOD), clock, 1_000);
    await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'k-1' } });
    await fleet.revocations.publish({ type: 'changed', select: { keyId: 'k-2' } });
    fleet.revocations.gap();
    await clock.advance(3_000);
    expect(told).toEqual([
      { source: 'memory', messages: 1, revoked: 1, count: 1 },
      { source: 'memory', messages: 1, revoked: 0, count: 0 },
      { source: 'memory', reason: 'lost' },
      { source: 's', reason: 'silent' },
    ]);
  });
});

test('a store that answers but takes no verdicts is logged', async () => {
  const { state, lines, member } = await fleetRig();
  const verifier = member();
  await verifier.verify(GOOD);
  await until(() => verifier.stats().shared.operations.put === 1);
  expect(lines).toEqual([]);
  state.fault = 'full';
  await verifier.verify(GOOD, { maxAgeMs: 0 });
  await until(() => verifier.stats().shared.operations.put === 2);
  expect(lines).toEqual([expect.stringContaining('does not take a verdict: OOM command not allowed.')]);
  expect(verifier.health().sharedCache?.status).toBe('degraded');
});

describe('health() of a fleet', () => {
  test('is left out without one', async () => {
    const { build } = await rig();
    expect(build().health()).not.toHaveProperty('sharedCache');
    expect(build().health()).not.toHaveProperty('revocations');
  });

  test('has what is configured', async () => {
    const { fleet, clock, member, build } = await fleetRig();
    const since = clock.wall();
    const { sharedCache } = fleet;
    expect(build({ sharedCache }).health()).toEqual({
      status: 'ok',
      since,
      breaker: 'closed',
      sharedCache: { status: 'ok', since },
    });
    const verifier = member();
    expect(verifier.health().revocations).toEqual({ status: 'starting', since, lagMs: 0 });
    await verifier.warmUp();
    expect(verifier.health().revocations).toEqual({ status: 'ok', since, lagMs: 0 });
    await clock.advance(500);
    fleet.revocations.gap();
    expect(verifier.health().revocations).toMatchObject({ status: 'ok', lastGapAt: since + 500 });
  });

  test.each<[StoreFault, 'timeout' | 'error']>([
    ['hang', 'timeout'],
    ['throw', 'error'],
  ])('tells the truth while the store would %s, also when nobody asks, and so does the log', async (fault, failure) => {
    const { clock, state, lines, member, server } = await fleetRig();
    const verifier = member();
    await verifier.verify(GOOD);
    const shared = (): Health['sharedCache'] => verifier.health().sharedCache;
    state.fault = fault;
    await settle(verifier.verify(OTHER), clock, 1_000);
    expect(shared()).toMatchObject({ status: 'degraded', failure });
    await settle(
      askNew(async (key) => await settle(verifier.verify(key), clock, 1_000), 5),
      clock,
      1_000,
    );
    const since = clock.wall();
    expect(shared()).toMatchObject({ status: 'down', failure });
    expect(shared()?.since).toBeLessThanOrEqual(since);
    await clock.advance(30_000);
    expect(shared()).toMatchObject({ status: 'down', failure });
    // The store changes no verdict.
    expect(verifier.health().status).toBe('ok');
    expect(lines).toEqual([expect.stringMatching(/^warn keyverify: the shared cache is down: /)]);
    state.fault = undefined;
    await settle(
      until(() => shared()?.status === 'ok'),
      clock,
      20_000,
    );
    expect(shared()).not.toHaveProperty('failure');
    expect(lines.slice(1)).toEqual([expect.stringMatching(/^info keyverify: the shared cache is back after 3\d s\./)]);
    expect(server.counts.rejected).toBe(6);
  });

  test('tells the truth while a stream is silent, and so does the log', async () => {
    const { server, clock, lines, member } = await fleetRig();
    const ends: ((error: Error) => void)[] = [];
    let works = true;
    const stream: RevocationSource = {
      fleet: support,
      name: 'keyverify:revocations',
      heartbeatMs: 1_000,
      follow: async ({ sink }) => {
        if (!works) throw new Error('connect ECONNREFUSED');
        sink.caughtUp();
        await new Promise((_resolve, reject) => ends.push(reject));
      },
    };
    const verifier = member({ revocations: stream });
    await verifier.warmUp();
    const lastHeard = clock.wall();
    works = false;
    for (const end of ends) end(new Error('connect ECONNREFUSED'));
    await clock.advance(10_000);
    expect(verifier.health().revocations).toEqual({
      status: 'down',
      since: lastHeard,
      lagMs: 10_000,
      lastGapAt: lastHeard + 3_000,
    });
    expect(lines).toEqual([
      expect.stringContaining('revocations do not arrive: keyverify:revocations was last heard from 3 s ago'),
    ]);
    expect(lines[0]).toContain(server.verifyUrl);
    works = true;
    await clock.advance(5_000);
    expect(verifier.health().revocations).toMatchObject({ status: 'ok' });
    expect(lines.slice(1)).toEqual([expect.stringContaining('info keyverify: revocations arrive again')]);
  });

  test('says that a stream ends again and again, and so does the log, until it stays open', async () => {
    const { clock, lines, member } = await fleetRig();
    let works = false;
    const stream: RevocationSource = {
      fleet: support,
      name: 'keyverify:revocations',
      heartbeatMs: 1_000,
      follow: async ({ sink, signal, clock: streamClock }) => {
        sink.caughtUp();
        if (!works) return;
        const beat = (): void => {
          sink.caughtUp();
          if (!signal.aborted) streamClock.after(1_000, beat, true);
        };
        streamClock.after(1_000, beat, true);
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
      },
    };
    const verifier = member({ revocations: stream });
    await verifier.warmUp();
    await clock.advance(10_000);
    expect(verifier.health().revocations?.status).toBe('degraded');
    expect(lines).toEqual([
      'warn keyverify: keyverify:revocations ends again and again, soon after it was opened. Nothing is lost, but a revocation ' +
        'may take effect 1 s late. Check the limits of a proxy on how long a response may take, and what Redis lets this ' +
        'service do.',
    ]);
    works = true;
    await clock.advance(5_000);
    expect(verifier.health().revocations?.status).toBe('ok');
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^info keyverify: keyverify:revocations stays open again after \d+ s\. /),
    ]);
  });

  test('messages that were lost are logged', async () => {
    const { fleet, lines, member } = await fleetRig();
    const verifier = member();
    await verifier.verify(GOOD);
    fleet.revocations.gap();
    expect(lines).toEqual([expect.stringContaining('revocations may have been lost in memory')]);
  });

  test('a key server whose clock is behind does not make a message late', async () => {
    const { fleet, member, server } = await fleetRig();
    const headers = { 'content-type': 'application/json', date: new Date().toUTCString() };
    const body = JSON.stringify({ valid: true, client: 'acme', tenant: 'cust-A', key_id: 'k-1' });
    server.injectFault({ kind: 'raw', status: 200, headers, body });
    const clock = testClock({ wall: Date.now() + 40_000 });
    const verifier = member({ clock, sharedCache: undefined });
    await settle(verifier.warmUp(), clock, 5_000);
    await clock.advance(60_000);
    await settle(verifier.verify(GOOD), clock, 5_000);
    await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'k-1' }, at: Date.now() });
    expect(verifier.health().revocations?.lagMs).toBeLessThan(10_000);
    await verifier.close();
  });
});
