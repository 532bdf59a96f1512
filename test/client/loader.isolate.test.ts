import { describe, expect, test, vi } from 'vitest';

import { GOOD, OTHER, brief, rig, settle, until } from '../helpers/rig.js';

// As a worker sees it: a promise that one request made can not be awaited by another, nor outlive it.
vi.mock('#platform', async () => await import('../../src/platform/isolate.js'));

const TTL = 300_000;

describe('in an isolate', () => {
  test('each request asks for itself: no flight is shared', async () => {
    const { server, build } = await rig();
    const verifier = build();
    const results = await Promise.all([verifier.verify(GOOD), verifier.verify(GOOD)]);
    expect(results.map(brief)).toEqual(['valid server', 'valid server']);
    expect(server.counts.requests).toBe(2);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
  });

  test('there is no limit: a slot whose request was ended would never come back', async () => {
    const { server, clock, build } = await rig();
    server.misbehave({ kind: 'hang' });
    const verifier = build({ maxConcurrency: 1 });
    const both = [verifier.verify(GOOD), verifier.verify(OTHER)];
    await until(() => server.counts.inFlight === 2);
    expect(verifier.stats()).toMatchObject({ asking: 2, waiting: 0 });
    for (const result of both) expect(brief(await settle(result, clock, 3_000))).toBe('closed timeout');
  });

  test('a hit refreshes ahead only where it can be kept alive', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.95);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(server.counts.requests).toBe(1);
    const kept: Promise<unknown>[] = [];
    expect(brief(await verifier.verify(GOOD, { waitUntil: (work) => kept.push(work) }))).toBe('valid cache');
    await Promise.all(kept);
    expect(kept).toHaveLength(1);
    expect(server.counts.requests).toBe(2);
  });

  test('whoever is the probe waits for it, unless it can be kept alive', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ retries: 0, breaker: { failureThreshold: 1, openMs: 1_000 } });
    server.misbehave({ kind: 'status', status: 500 });
    expect(brief(await verifier.verify(GOOD))).toBe('closed server_error');
    expect(brief(await verifier.verify(GOOD))).toBe('closed circuit_open');
    await clock.advance(1_000);
    expect(brief(await verifier.verify(GOOD))).toBe('closed server_error');
    await clock.advance(2_000);
    server.behave();
    const kept: Promise<unknown>[] = [];
    expect(brief(await verifier.verify(GOOD, { waitUntil: (work) => kept.push(work) }))).toBe('closed circuit_open');
    await Promise.all(kept);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
  });

  test('each request fetches the service token for itself until there is one', async () => {
    const { build } = await rig();
    let calls = 0;
    const serviceToken = async (): Promise<string> => {
      calls++;
      return await Promise.resolve('service-token-0123456789');
    };
    const verifier = build({ serviceToken });
    await Promise.all([verifier.warmUp(), verifier.warmUp()]);
    expect(calls).toBe(2);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(calls).toBe(2);
  });
});
