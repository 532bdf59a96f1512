import { describe, expect, test, vi } from 'vitest';

import { memoryFleet } from 'keyverify/testing';

import { sha256 } from '../../src/platform/server.js';
import { KEY, entryOf, loaderOf } from '../helpers/loader.js';
import { GOOD_BODY, response } from '../helpers/responses.js';
import { GOOD as SERVED, OTHER, brief, rig, settle, until } from '../helpers/rig.js';

// As a worker sees it: a promise that one request made can't be awaited by another, nor does it outlive its request.
vi.mock('#platform', async () => await import('../../src/platform/isolate.js'));

const FINGERPRINT = sha256(KEY);
const GOOD = response(200, GOOD_BODY);
const TTL = 300_000;

describe('in an isolate', () => {
  test('each request asks for itself: no flight is shared', async () => {
    const { server, build } = await rig();
    const verifier = build();
    const results = await Promise.all([verifier.verify(SERVED), verifier.verify(SERVED)]);
    expect(results.map(brief)).toEqual(['valid server', 'valid server']);
    expect(server.asked(SERVED)).toBe(2);
    expect(brief(await verifier.verify(SERVED))).toBe('valid cache');
  });

  test('there is no limit: a slot whose request was ended would never come back', async () => {
    const { server, clock, build } = await rig();
    server.injectFault({ kind: 'hang' });
    const verifier = build({ maxConcurrency: 1, retries: 0 });
    const both = [verifier.verify(SERVED), verifier.verify(OTHER)];
    await until(() => server.counts.inFlight === 2);
    expect(verifier.stats()).toMatchObject({ active: 2, queued: 0 });
    for (const result of both) expect(brief(await settle(result, clock, 3_000))).toBe('closed timeout');
  });

  test('a hit refreshes ahead only where it can be kept alive', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(SERVED);
    await clock.advance(TTL * 0.95);
    expect(brief(await verifier.verify(SERVED))).toBe('valid cache');
    expect(server.asked(SERVED)).toBe(1);
    const kept: Promise<unknown>[] = [];
    expect(brief(await verifier.verify(SERVED, { waitUntil: (work) => kept.push(work) }))).toBe('valid cache');
    await Promise.all(kept);
    expect([kept.length, server.asked(SERVED)]).toEqual([1, 2]);
  });

  test('a pause lets no question through that cannot be kept alive', async () => {
    const { loader, clock, requests, answer, cache } = loaderOf();
    loader.trickle(FINGERPRINT, KEY, entryOf(cache, KEY), clock.monotonic(), {});
    expect(requests).toHaveLength(0);
    const kept: Promise<unknown>[] = [];
    loader.trickle(FINGERPRINT, KEY, entryOf(cache, KEY), clock.monotonic(), { waitUntil: (work) => kept.push(work) });
    await clock.advance(0);
    await answer(GOOD);
    expect(await kept[0]).toMatchObject({ status: 'verified' });
  });

  test('no revocations can be followed, so their option is refused', async () => {
    const { build } = await rig();
    expect(() => build({ revocations: memoryFleet().revocations })).toThrow('revocations: expected none');
    expect(() => build({ revocations: [] })).not.toThrow();
  });

  test('the next caller probes an open breaker, since no timer does', async () => {
    const { transport, clock, load, loader, requests } = loaderOf({ breaker: { failureThreshold: 1 } });
    transport.script = () => response(503);
    await load();
    await clock.advance(500);
    expect(loader.blockedBy(clock.monotonic())).toMatchObject({ kind: 'circuit_open' });
    requests.length = 0;
    transport.script = () => GOOD;
    await clock.advance(500);
    expect([requests.length, clock.pending]).toEqual([0, 0]);
    expect((await load()).outcome).toBe('verified');
    expect(loader.counts.breaker).toBe('closed');
  });

  test('each request fetches the service token for itself until there is one', async () => {
    const serviceToken = vi.fn(async () => await Promise.resolve('service-token'));
    const { loader, load, answer } = loaderOf({ serviceToken });
    await Promise.all([loader.warmUp(), loader.warmUp()]);
    const loading = await load();
    await answer(GOOD);
    expect([loading.outcome, serviceToken.mock.calls.length]).toEqual(['verified', 2]);
  });
});
