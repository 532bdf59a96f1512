import { Agent } from 'undici';
import { afterEach, describe, expect, expectTypeOf, onTestFinished, test, vi } from 'vitest';
import * as z from 'zod';

import { KeyVerifier, TransportError, VERSION, VerifyFailure, isVerified, type BreakerEvent } from 'keyverify';
import { startKeyServer, testClock } from 'keyverify/testing';

import { defaultProtocol } from '../src/protocol/default.js';
import { response } from './helpers/responses.js';
import { ACME, GOOD, OTHER, TOKEN, brief, breathe, rig, settle, until } from './helpers/rig.js';
import { FakeTransport } from './helpers/transport.js';

const TTL = 300_000;

describe('a verified key', () => {
  test('says who the caller is, and is asked for as the contract has it', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ scope: 'cust-A' });
    const verifiedAt = clock.wall();
    const result = await verifier.verify(GOOD);
    expect(result).toEqual({
      status: 'verified',
      valid: true,
      source: 'server',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'k-1',
      claims: { plan: 'pro' },
      verifiedAt,
    });
    expect(server.requests).toMatchObject([
      {
        method: 'POST',
        path: '/internal/verify-key',
        scope: 'cust-A',
        tokenAccepted: true,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': `keyverify/${VERSION}`,
        },
      },
    ]);
  });

  test('is served from the cache as one frozen object, and its age stays what it was', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    const asked = await verifier.verify(GOOD);
    await clock.advance(1_000);
    const hit = await verifier.verify(GOOD);
    expect(hit).toEqual({ ...asked, source: 'cache' });
    expect(await verifier.verify(GOOD)).toBe(hit);
    expect(verifier.peek(GOOD)).toBe(hit);
    expect(Object.isFrozen(hit) && isVerified(hit) && Object.isFrozen(hit.claims)).toBe(true);
    expect(server.counts.requests).toBe(1);
  });

  test('leaves out what the server leaves out, the scope too', async () => {
    const { server, build } = await rig({ [GOOD]: { client: 'c', tenant: 't' } });
    const result = await build().verify(GOOD);
    expect(Object.keys(result)).toEqual(['status', 'valid', 'source', 'client', 'tenant', 'claims', 'verifiedAt']);
    expect(server.requests[0]?.scope).toBeUndefined();
  });

  test('ends with expires_at, however long the TTL', async () => {
    const { server, clock, build } = await rig();
    const expiresAt = clock.wall() + 5_000;
    server.issue(GOOD, { ...ACME, expiresAt });
    const verifier = build({ retries: 0 });
    expect(await verifier.verify(GOOD)).toMatchObject({ expiresAt });
    await clock.advance(4_999);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await server.stop();
    await clock.advance(1);
    expect(brief(await verifier.verify(GOOD, { failOpen: true }))).toBe('rejected stale expired');
  });

  test('Cache-Control shortens its TTL and never lengthens it', async () => {
    for (const [cacheControl, kept] of [
      ['max-age=10', 10_000],
      ['max-age=999999', TTL],
      ['no-cache', 0],
    ] as const) {
      const clockRig = await rig();
      const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN], cacheControl });
      const verifier = clockRig.build({ verifyUrl: server.verifyUrl, refreshAheadRatio: 1 });
      await verifier.verify(GOOD);
      if (kept > 0) {
        await clockRig.clock.advance(kept - 1);
        expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
        await clockRig.clock.advance(1);
      }
      expect(brief(await verifier.verify(GOOD))).toBe('valid server');
      await server.close();
      const later = brief(await settle(verifier.verify(GOOD, { maxAgeMs: 10_000 }), clockRig.clock, 5_000));
      // `no-cache` forbids to serve it without asking, in an outage too.
      expect(later).toBe(kept > 0 ? 'valid cache' : 'closed unreachable');
    }
  });

  test('is not kept at all under no-store, and takes what was kept before with it', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    server.injectFault({
      kind: 'raw',
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: '{"valid":true,"client":"acme","tenant":"cust-A"}',
    });
    await clock.advance(TTL);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(verifier.stats().entries.verified).toBe(0);
  });
});

describe('a refused key', () => {
  test.each(['unknown_key', 'revoked', 'disabled', 'scope_mismatch', 'of another reason'])('%s', async (reason) => {
    const { build } = await rig({ [GOOD]: { ...ACME, reason } });
    const verifier = build();
    expect(await verifier.verify(GOOD)).toEqual({ status: 'rejected', valid: false, source: 'server', reason });
    expect(await verifier.verify(GOOD)).toEqual({ status: 'rejected', valid: false, source: 'cache', reason });
  });

  test('of another customer is refused where there is a scope', async () => {
    const { build } = await rig({ [OTHER]: { client: 'other', tenant: 'cust-B' } });
    expect(brief(await build({ scope: 'cust-A' }).verify(OTHER))).toBe('rejected server scope_mismatch');
    expect(brief(await build().verify(OTHER))).toBe('valid server');
  });

  test('that becomes good is let in within rejectedTtlMs', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(OTHER);
    server.issue(OTHER, ACME);
    await clock.advance(9_999);
    expect(brief(await verifier.verify(OTHER))).toBe('rejected cache unknown_key');
    await clock.advance(1);
    expect(brief(await verifier.verify(OTHER))).toBe('valid server');
    expect(verifier.stats().entries).toEqual({ verified: 1, rejected: 0 });
  });
});

describe('verifyCached()', () => {
  test('says what verify() would say at once, counts as it does, and nothing where that would ask', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    expect(verifier.verifyCached(GOOD)).toBeUndefined();
    expect(verifier.verifyCached('')).toEqual({
      status: 'rejected',
      valid: false,
      source: 'local',
      reason: 'missing_key',
    });
    await verifier.verify(GOOD);
    await verifier.verify(OTHER);
    expect(verifier.verifyCached(GOOD)).toBe(await verifier.verify(GOOD));
    expect(verifier.verifyCached(OTHER)).toMatchObject({ valid: false, source: 'cache' });
    expect(verifier.verifyCached(GOOD, { maxAgeMs: 0 })).toBeUndefined();
    expect(verifier.stats().results).toMatchObject({ server: 2, cache: 3, local: 1 });
    expect(server.counts.requests).toBe(2);
    await clock.advance(TTL);
    expect(verifier.verifyCached(GOOD)).toBeUndefined();
  });

  test('refreshes ahead', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9);
    expect(verifier.verifyCached(GOOD)).toMatchObject({ source: 'cache' });
    await until(() => server.asked(GOOD) === 2);
  });
});

describe('maxAgeMs', () => {
  test('0 always asks, and does not join a question that has left already', async () => {
    const { server, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 0 }))).toBe('valid server');
    server.injectFault({ kind: 'delay', ms: 30 });
    const before = verifier.verify(GOOD, { maxAgeMs: 0 });
    await until(() => server.counts.inFlight === 1);
    await Promise.all([before, verifier.verify(GOOD, { maxAgeMs: 0 })]);
    expect(server.counts.requests).toBe(4);
  });

  test('takes a verdict that is younger, and asks for one that is as old', async () => {
    const { clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    await clock.advance(999);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 1_000 }))).toBe('valid cache');
    await clock.advance(1);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 1_000 }))).toBe('valid server');
  });

  test('honors no stale verdict that is too old, but a refusal', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ retries: 0 });
    await verifier.verify(GOOD);
    await verifier.verify(OTHER);
    await clock.advance(1_000);
    await server.stop();
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 1_000 }))).toBe('closed unreachable');
    expect(brief(await verifier.verify(OTHER, { maxAgeMs: 1_000 }))).toBe('rejected stale unknown_key');
  });
});

describe('refreshing ahead', () => {
  test('a hit near the end of its TTL is served, and refreshed once in the background', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9 - 1);
    await verifier.verify(GOOD);
    await breathe();
    expect(server.counts.requests).toBe(1);
    await clock.advance(1);
    const waited: Promise<unknown>[] = [];
    const waitUntil = (work: Promise<unknown>): number => waited.push(work);
    expect(brief(await verifier.verify(GOOD, { waitUntil: (work) => void waitUntil(work) }))).toBe('valid cache');
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await Promise.all(waited);
    expect(waited).toHaveLength(1);
    expect(server.counts.requests).toBe(2);
    await clock.advance(TTL * 0.9 - 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
  });

  test('one that fails is not tried again before half of the time that is left, and nobody notices', async () => {
    const { server, clock, build } = await rig();
    const onFailure = vi.fn();
    const verifier = build({ retries: 0, observers: [{ onFailure }] });
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9);
    server.injectFault({ kind: 'status', status: 500 });
    await verifier.verify(GOOD);
    await until(() => onFailure.mock.calls.length === 1);
    await clock.advance(TTL * 0.05 - 1);
    for (let i = 0; i < 10; i++) expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await breathe();
    expect(server.asked(GOOD)).toBe(2);
    await clock.advance(1);
    await verifier.verify(GOOD);
    await until(() => server.asked(GOOD) === 3);
  });

  test('is left to a question about the same key that is in flight already', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9);
    server.injectFault({ kind: 'delay', ms: 30 });
    const asking = verifier.verify(GOOD, { maxAgeMs: 0 });
    await until(() => server.counts.inFlight === 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await asking;
    expect(server.counts.requests).toBe(2);
  });

  test('one that fails while the breaker is open is not made up for as soon as it closes', async () => {
    const { server, clock, build } = await rig({ [GOOD]: ACME, [OTHER]: ACME });
    const onFailure = vi.fn();
    const verifier = build({ retries: 0, breaker: { failureThreshold: 1 }, observers: [{ onFailure }] });
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9);
    server.injectFault({ kind: 'status', status: 500 });
    await verifier.verify(OTHER);
    expect(verifier.stats().breaker).toBe('open');
    await verifier.verify(GOOD);
    await clock.advance(50);
    await until(() => onFailure.mock.calls.length === 2);
    server.clearFaults();
    await clock.advance(1_000);
    await until(() => verifier.stats().breaker === 'closed');
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await breathe();
    expect(server.asked(GOOD)).toBe(2);
    await clock.advance(TTL * 0.05);
    await verifier.verify(GOOD);
    await until(() => server.asked(GOOD) === 3);
  });

  test('is asked for before its time while the breaker is open: keys in use may be answered where control questions fail', async () => {
    const { server, clock, build } = await rig({ [GOOD]: ACME, [OTHER]: ACME });
    const verifier = build({ retries: 0, breaker: { failureThreshold: 1 } });
    for (const key of [GOOD, OTHER]) await verifier.verify(key);
    server.injectFault({ kind: 'status', status: 500 });
    await verifier.verify('sk-made-up');
    expect(verifier.stats().breaker).toBe('open');
    server.clearFaults();
    for (const key of [GOOD, OTHER]) expect(brief(await verifier.verify(key))).toBe('valid cache');
    await until(() => verifier.stats().breaker === 'closed');
    // One question a tenth of a second, not one for each key in use.
    expect([server.asked(GOOD), server.asked(OTHER)]).toEqual([2, 1]);
    await clock.advance(1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await breathe();
    expect(server.asked(GOOD)).toBe(2);
  });

  test('one that fails keeps no verdict from being asked about at its end, should that come sooner', async () => {
    const { server, clock, build } = await rig();
    const onFailure = vi.fn();
    const verifier = build({ retries: 0, observers: [{ onFailure }] });
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.9);
    server.injectFault({ kind: 'status', status: 500 }, { times: 1 });
    await verifier.verify(GOOD);
    await until(() => onFailure.mock.calls.length === 1);
    await clock.advance(1_000);
    clock.jumpWall(TTL);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
  });

  test('a refusal is not refreshed', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(OTHER);
    await clock.advance(9_500);
    expect(brief(await verifier.verify(OTHER))).toBe('rejected cache unknown_key');
    await breathe();
    expect(server.counts.requests).toBe(1);
  });
});

describe('in an outage', () => {
  test('a stale key pays for one attempt, and is then served without one for a while', async () => {
    const { server, clock, build } = await rig();
    const stale: string[] = [];
    const verifier = build({
      retries: 0,
      breaker: false,
      observers: [{ onStale: ({ failure }) => stale.push(failure.kind) }],
    });
    await verifier.verify(GOOD);
    await clock.advance(TTL);
    server.injectFault({ kind: 'status', status: 503 });
    for (let i = 0; i < 5; i++) expect(brief(await verifier.verify(GOOD))).toBe('valid stale');
    expect(server.asked(GOOD)).toBe(2);
    expect(stale).toEqual(Array(5).fill('server_error'));
    server.revoke(GOOD);
    server.clearFaults();
    await clock.advance(1_000);
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
  });

  test('the breaker opens after five failures with evidence, probes by itself, and closes with the first answer', async () => {
    const { server, clock, build } = await rig();
    const changes: BreakerEvent[] = [];
    const verifier = build({ retries: 0, observers: [{ onBreaker: (event) => changes.push(event) }] });
    server.injectFault({ kind: 'status', status: 503, retryAfter: 1 });
    // Each failed question counts, and so does the control question that the first of them brings about.
    for (let i = 0; i < 4; i++) expect(brief(await verifier.verify(`sk-${i}`))).toBe('closed server_error');
    expect(verifier.stats()).toMatchObject({ breaker: 'open', controls: 1 });
    expect(server.counts.requests).toBe(5);
    // One unknown key is asked about during the pause that the server asks for, and then another only after 250 ms.
    expect(brief(await verifier.verify('sk-trickle'))).toBe('closed server_error');
    const open = await verifier.verify(GOOD);
    expect(open).toMatchObject({ failure: { kind: 'circuit_open', retryAfterMs: 1_000, attempts: 0 } });

    await clock.advance(1_000);
    await until(() => server.counts.requests === 7 && verifier.stats().breaker === 'open');
    server.clearFaults();
    await clock.advance(1_000);
    await until(() => verifier.stats().breaker === 'closed');
    expect(server.asked(GOOD)).toBe(0);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
    expect(changes[0]?.failure).toBeInstanceOf(VerifyFailure);
    expect(changes.at(-1)?.failure).toBeUndefined();
  });

  test.each([
    ['within a second after a long outage', 60_000, 'stale', 'server'],
    ['at once after a short one', 8_000, 'server', 'cache'],
  ])('keys whose TTL has passed in an outage are asked about %s', async (_, outageMs, first, second) => {
    const clock = testClock();
    const transport = new FakeTransport();
    const verifier = new KeyVerifier({
      verifyUrl: 'http://localhost/',
      serviceToken: TOKEN,
      transport,
      clock,
      random: () => 0,
      cacheTtlMs: 60_000,
      breaker: { failureThreshold: 1 },
      logger: { warn: () => undefined },
    });
    const ask = async (key: string, options = {}) => (await settle(verifier.verify(key, options), clock, 2_000)).source;
    const answer = () => response(200, { valid: true, client: 'acme', tenant: 'cust-A' });
    transport.script = answer;
    expect(await ask(GOOD)).toBe('server');
    await clock.advance(53_000);
    transport.script = () => new TransportError('unreachable', 'refused', { unconnected: true });
    expect(await ask('sk-new')).toBe('fail-closed');
    await clock.advance(outageMs);
    expect(await ask(GOOD)).toBe('stale');
    // It was asked about in vain, which delays the next question about it.
    await clock.advance(1_000);
    transport.script = answer;
    const asked = transport.requests.length;
    while (verifier.stats().breaker !== 'closed') await clock.advance(1);
    expect(transport.requests.slice(asked).map(({ key }) => key)).toEqual([
      expect.stringMatching(/^keyverify-control-/),
    ]);
    expect(await ask(GOOD)).toBe(first);
    // A key of which nothing is known does not have to wait.
    expect(await ask('sk-another')).toBe('server');
    await clock.advance(1_000);
    expect(await ask(GOOD)).toBe(second);
    await verifier.close();
  });

  test('while the breaker is open, a stale key is served at once, and asked about in the background now and then', async () => {
    const { server, clock, build } = await rig();
    const failures: VerifyFailure[] = [];
    const observers = [{ onStale: (event: { failure: VerifyFailure }) => failures.push(event.failure) }];
    const verifier = build({ retries: 0, breaker: { failureThreshold: 1 }, observers });
    await verifier.verify(GOOD);
    await clock.advance(TTL);
    server.injectFault({ kind: 'status', status: 503 });
    await verifier.verify(OTHER);
    expect(verifier.verifyCached(GOOD)).toMatchObject({ valid: true, source: 'stale' });
    expect(brief(await verifier.verify(GOOD))).toBe('valid stale');
    expect(failures.map(({ kind }) => kind)).toEqual(['circuit_open', 'circuit_open']);
    expect(failures[0]).toBe(failures[1]);
    await clock.advance(50);
    await until(() => server.asked(GOOD) === 2);
    server.revoke(GOOD);
    server.clearFaults();
    await clock.advance(1_000);
    await until(() => verifier.stats().breaker === 'closed');
    await clock.advance(1_000);
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
  });

  test('while the key server limits our rate, a stale key is served at once, and none is refreshed ahead', async () => {
    const { server, clock, build } = await rig();
    const kinds: string[] = [];
    const verifier = build({ observers: [{ onStale: ({ failure }) => kinds.push(failure.kind) }] });
    await verifier.verify(GOOD);
    await clock.advance(TTL * 0.95);
    server.injectFault({ kind: 'status', status: 429, retryAfter: 30 });
    await verifier.verify(OTHER);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await breathe();
    expect(server.asked(GOOD)).toBe(1);
    await clock.advance(TTL * 0.05);
    expect(verifier.verifyCached(GOOD)).toMatchObject({ source: 'stale' });
    expect(kinds).toEqual(['rate_limited']);
    // Known keys past their TTL are asked about at a trickle, so that a revocation is noticed all the same.
    await clock.advance(50);
    await until(() => server.asked(GOOD) === 2);
  });

  test('a key is not served past all bounds, and onStale is not called', async () => {
    const { server, clock, build } = await rig();
    const stale: unknown[] = [];
    const verifier = build({
      retries: 0,
      staleIfErrorMs: 1_000,
      observers: [{ onStale: (event) => stale.push(event) }],
    });
    await verifier.verify(GOOD);
    await clock.advance(TTL + 1_000);
    server.injectFault({ kind: 'status', status: 503 });
    expect(brief(await verifier.verify(GOOD))).toBe('closed server_error');
    expect(stale).toEqual([]);
  });

  test('a caller whose question failed gets the verdict that others received meanwhile', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ retries: 0 });
    server.injectFault({ kind: 'hang' });
    const waiting = verifier.verify(GOOD);
    await until(() => server.counts.inFlight === 1);
    verifier.invalidate({ key: GOOD });
    server.clearFaults();
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(brief(await settle(waiting, clock, 5_000))).toBe('valid cache');
  });

  test('a key that was good goes before unknown keys that came first; of those, the newest goes first', async () => {
    const { server, clock, build } = await rig({ [GOOD]: ACME, [OTHER]: { ...ACME, reason: 'revoked' } });
    const verifier = build({ maxConcurrency: 1, refreshAheadRatio: 1 });
    await verifier.verify(GOOD);
    await verifier.verify(OTHER);
    await clock.advance(TTL);
    server.injectFault({ kind: 'delay', ms: 30 }, { times: 1 });
    const first = verifier.verify('sk-first');
    await until(() => server.counts.inFlight === 1);
    const answered: string[] = [];
    const ask = async (key: string): Promise<void> => {
      await verifier.verify(key);
      answered.push(key);
    };
    await Promise.all([first, ask('sk-new'), ask(OTHER), ask(GOOD)]);
    expect(answered).toEqual([GOOD, OTHER, 'sk-new']);
  });

  test('failOpen may be said call by call', async () => {
    const { server, build } = await rig();
    const opened: string[] = [];
    const verifier = build({ retries: 0, observers: [{ onFailOpen: ({ failure }) => opened.push(failure.code) }] });
    await server.stop();
    expect(brief(await verifier.verify(GOOD))).toBe('closed unreachable');
    expect(opened).toEqual([]);
    expect(brief(await verifier.verify(GOOD, { failOpen: true }))).toBe('open unreachable');
    expect(opened).toEqual(['KEYVERIFY_UNREACHABLE']);
  });

  test('a failure says what, how often and how long', async () => {
    const { server, clock, build } = await rig();
    await server.stop();
    const result = await settle(build().verify(GOOD), clock, 5_000);
    expect(result).toMatchObject({
      reason: 'unavailable',
      failure: {
        name: 'VerifyFailure',
        kind: 'unreachable',
        code: 'KEYVERIFY_UNREACHABLE',
        attempts: 2,
        cause: { code: 'ECONNREFUSED' },
      },
    });
  });
});

describe('retrying', () => {
  test('a transient failure is retried once', async () => {
    const { server, clock, build } = await rig();
    server.injectFault({ kind: 'reset-before-headers' }, { times: 1 });
    expect(brief(await settle(build().verify(GOOD), clock, 5_000))).toBe('valid server');
    expect(server.asked(GOOD)).toBe(2);
  });

  test('Retry-After is waited for where it fits, and told where it does not', async () => {
    const { server, clock, build } = await rig();
    server.injectFault({ kind: 'status', status: 503, retryAfter: 1 }, { times: 1 });
    const startedAt = clock.monotonic();
    expect(brief(await settle(build().verify(GOOD), clock, 5_000))).toBe('valid server');
    expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(1_000);
    server.injectFault({ kind: 'status', status: 503, retryAfter: 5 });
    const result = await settle(build().verify(OTHER), clock, 5_000);
    expect(result).toMatchObject({ failure: { kind: 'server_error', attempts: 1, retryAfterMs: 5_000 } });
  });

  test('a rate limit is not retried, and holds back all but a trickle of questions until it is over', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'status', status: 429, retryAfter: 3 });
    expect(brief(await verifier.verify(GOOD))).toBe('closed rate_limited');
    expect(brief(await verifier.verify('sk-trickle'))).toBe('closed rate_limited');
    expect(server.counts.requests).toBe(2);
    // The shortest of the intervals, which vary.
    await clock.advance(99);
    expect(await verifier.verify(OTHER)).toMatchObject({ failure: { kind: 'rate_limited', retryAfterMs: 3_000 } });
    expect(server.counts.requests).toBe(2);
    server.clearFaults();
    await clock.advance(101);
    // It was itself limited less than half a second ago.
    expect(brief(await verifier.verify(GOOD))).toBe('closed rate_limited');
    await clock.advance(300);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    await clock.advance(2_500);
    expect(brief(await verifier.verify(OTHER))).toBe('rejected server unknown_key');
  });
});

describe('the service token', () => {
  test('may come from a function, which is called once, and again on a 401', async () => {
    const { server, clock, build } = await rig();
    const tokens = [TOKEN, 'a-newer-token'];
    const source = vi.fn(async () => await Promise.resolve(tokens.shift() ?? 'none'));
    const verifier = build({ serviceToken: source });
    await verifier.verify(GOOD);
    await verifier.verify(OTHER);
    expect(source).toHaveBeenCalledTimes(1);
    server.setServiceTokens(['a-newer-token']);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 0 }))).toBe('valid server');
    expect(source).toHaveBeenCalledTimes(2);
    server.setServiceTokens(['another']);
    await clock.advance(1_000);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 0 }))).toBe('closed misconfigured');
    expect(source).toHaveBeenCalledTimes(3);
  });

  test('that does not come, or is none, is a misconfiguration and not an outage', async () => {
    const { clock, build } = await rig();
    const sources = [
      () => Promise.reject(new Error('the vault is closed')),
      () => 'with\nbreak',
      () => new Promise<string>(() => undefined),
    ];
    for (const serviceToken of sources) {
      const verifier = build({ serviceToken, failOpen: true });
      expect(brief(await settle(verifier.verify(GOOD), clock, 5_000))).toBe('closed misconfigured');
    }
  });

  test('wrong options of a call are told without the key server, which has no part in it', async () => {
    const { server, build } = await rig();
    const warn = vi.fn();
    const result = await build({ logger: { warn } }).verify(GOOD, { maxAge: 0 } as object);
    expect([brief(result), server.counts.requests]).toEqual(['closed misconfigured', 0]);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      'keyverify: invalid call options: maxAge: there is no such option, did you mean maxAgeMs?',
    );
  });

  test.each([
    ['keyFormat', {}],
    ['keyFormat, where the protocol has a rule of its own', { protocol: { ...defaultProtocol, admits: () => true } }],
  ])('logs once a minute that %s threw, without the error, which may quote the key', async (_, options) => {
    const { server, build, clock } = await rig();
    const warn = vi.fn();
    const keyFormat = (key: string): boolean => {
      if (key.length > 1) throw new TypeError(`no such key: ${key}`);
      return false;
    };
    const verifier = build({ logger: { warn }, keyFormat, ...options });
    for (let i = 0; i < 3; i++) expect(await verifier.verify(GOOD)).toMatchObject({ reason: 'malformed_key' });
    expect(warn).toHaveBeenCalledExactlyOnceWith('keyverify: keyFormat() failed: a key was rejected.');
    await clock.advance(60_000);
    await verifier.verify(GOOD);
    expect(warn).toHaveBeenLastCalledWith(
      'keyverify: keyFormat() failed: a key was rejected. (2 more since the last line like this.)',
    );
    expect(server.counts.requests).toBe(0);
  });

  test("logs a key that makes the server fail as that key's own failure, and affects no other caller", async () => {
    const { server, build } = await rig({ [GOOD]: ACME });
    const warn = vi.fn();
    const verifier = build({ logger: { warn }, retries: 0 });
    await verifier.verify(GOOD);
    server.injectFault({ kind: 'wrong-shape' }, { times: 1 });
    expect(brief(await verifier.verify(OTHER))).toBe('closed invalid_response');
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining('Others were just answered: only callers with'),
    );
  });

  test('logs that the key server answers again, once its pause is over', async () => {
    const { server, clock, build } = await rig();
    const [warn, info] = [vi.fn(), vi.fn()];
    const verifier = build({ logger: { warn, info } });
    server.injectFault({ kind: 'status', status: 429 }, { times: 1 });
    expect(brief(await verifier.verify(GOOD))).toBe('closed rate_limited');
    // One that is asked although there is a pause.
    expect(brief(await verifier.verify(OTHER))).toBe('rejected server unknown_key');
    expect([warn.mock.calls.length, info.mock.calls.length]).toEqual([1, 0]);
    await clock.advance(1000);
    await verifier.verify(GOOD);
    expect(info).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^keyverify: the key server http:\S+ answers again\.$/),
    );
  });

  test('a 401 warns once a minute', async () => {
    const { clock, build } = await rig();
    const warn = vi.fn();
    const verifier = build({ serviceToken: 'wrong', logger: { warn } });
    for (let i = 0; i < 3; i++) await verifier.verify(GOOD);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^keyverify: the key server http:\/\/127\.0\.0\.1:\S+ answered 401: check serviceToken\. /),
    );
    await clock.advance(60_000);
    await verifier.verify(GOOD);
    expect(warn).toHaveBeenCalledTimes(2);
  });
});

describe('invalidate', () => {
  test('by a key leaves the questions about others as they are', async () => {
    const { server, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'delay', ms: 30 }, { times: 1 });
    const first = verifier.verify(GOOD);
    await until(() => server.counts.inFlight === 1);
    verifier.invalidate({ key: OTHER });
    await Promise.all([first, verifier.verify(GOOD)]);
    expect(server.asked(GOOD)).toBe(1);
  });

  test.each([{ key: GOOD }, { keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])('%j', async (selector) => {
    const { server, build } = await rig({ [GOOD]: ACME, [OTHER]: { client: 'other', tenant: 'cust-B', keyId: 'k-2' } });
    const verifier = build();
    await verifier.verify(GOOD);
    await verifier.verify(OTHER);
    expect(verifier.invalidate(selector)).toBe(1);
    expect(verifier.invalidate(selector)).toBe(0);
    expect(brief(await verifier.verify(OTHER))).toBe('valid cache');
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(server.counts.requests).toBe(3);
  });

  test('by the fingerprint that events tell', async () => {
    const { build } = await rig();
    let fingerprint = '';
    const verifier = build({ observers: [{ onVerdict: (event) => (fingerprint = event.fingerprint) }] });
    await verifier.verify(GOOD);
    expect(verifier.invalidate({ fingerprint })).toBe(1);
  });

  test('an older answer does not overwrite a newer one', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'delay', ms: 30 }, { times: 1 });
    const older = verifier.verify(GOOD);
    await until(() => server.counts.inFlight === 1);
    await clock.advance(1);
    server.revoke(GOOD);
    await verifier.verify(GOOD, { maxAgeMs: 0 });
    expect(brief(await older)).toBe('valid server');
    expect(brief(await verifier.verify(GOOD))).toBe('rejected cache revoked');
  });
});

describe('the life of a verifier', () => {
  test('peek() never asks', async () => {
    const { server, clock, build } = await rig();
    const verifier = build();
    expect(verifier.peek(GOOD)).toBeUndefined();
    expect(verifier.peek('')).toEqual({ status: 'rejected', valid: false, source: 'local', reason: 'missing_key' });
    await verifier.verify(GOOD);
    await clock.advance(TTL - 1);
    expect(verifier.peek(GOOD)).toMatchObject({ source: 'cache' });
    await clock.advance(1);
    expect(verifier.peek(GOOD)).toBeUndefined();
    expect(server.counts.requests).toBe(1);
  });

  test('warmUp() loads and fetches ahead, and tells of a token that cannot be had', async () => {
    const { build } = await rig();
    const source = vi.fn(() => TOKEN);
    const verifier = build({ serviceToken: source });
    await verifier.warmUp();
    await verifier.verify(GOOD);
    await verifier.warmUp();
    expect(source).toHaveBeenCalledTimes(1);
    await build().warmUp();
    const hopeless = build({ serviceToken: () => '' });
    await expect(hopeless.warmUp()).rejects.toBeInstanceOf(VerifyFailure);
    await expect(hopeless.warmUp()).rejects.toMatchObject({
      kind: 'misconfigured',
      message: 'keyverify: serviceToken() failed',
      cause: { message: 'expected a string of printable ASCII, got an empty string' },
    });
  });

  test('warmUp() of a verifier that is closed loads nothing, and says so', async () => {
    const { build } = await rig();
    const source = vi.fn(() => TOKEN);
    const verifier = build({ serviceToken: source });
    await verifier.close();
    await expect(verifier.warmUp()).rejects.toMatchObject({
      kind: 'misconfigured',
      message: 'keyverify: this verifier is closed',
    });
    expect(source).not.toHaveBeenCalled();
  });

  test('close() waits for what is in flight, frees the connections, and leaves the hits', async () => {
    const { server, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'delay', ms: 30 });
    const flying = verifier.verify(GOOD);
    await until(() => server.counts.inFlight === 1);
    await verifier.close();
    expect(brief(await flying)).toBe('valid server');
    await until(() => server.counts.openConnections === 0);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(brief(await verifier.verify(OTHER, { failOpen: true }))).toBe('closed misconfigured');
    await verifier[Symbol.asyncDispose]();
  });

  test('is closed at the end of a block', async () => {
    const { build } = await rig();
    const verifier = build();
    await verifier[Symbol.asyncDispose]();
    expect(brief(await verifier.verify(GOOD))).toBe('closed misconfigured');
  });

  test('denies after close() with one line in the log', async () => {
    const { build } = await rig();
    const lines: string[] = [];
    const verifier = build({ logger: { warn: (line) => lines.push(line) } });
    await verifier.verify(GOOD);
    await verifier.close();
    await verifier.verify(GOOD);
    expect(lines).toEqual([]);
    for (const key of [OTHER, OTHER, 'sk-3']) expect(brief(await verifier.verify(key))).toBe('closed misconfigured');
    expect(lines).toEqual(['keyverify: this verifier is closed, so keys without a cached verdict are denied (500).']);
  });

  test('close() before the first question opens nothing, and a hit after it refreshes nothing', async () => {
    const { server, clock, build } = await rig();
    await build().close();
    const verifier = build();
    await verifier.verify(GOOD);
    await verifier.close();
    await clock.advance(TTL * 0.95);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await breathe();
    expect(server.counts.requests).toBe(1);
  });

  test('a signal that is aborted already ends the call at once', async () => {
    const { server, build } = await rig();
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(build().verify(GOOD, { signal })).rejects.toThrow('too late');
    expect(server.counts.requests).toBe(0);
  });

  test('a signal that stays quiet changes nothing', async () => {
    const { build } = await rig();
    const verifier = build();
    const { signal } = new AbortController();
    expect(brief(await verifier.verify(GOOD, { signal }))).toBe('valid server');
    expect(brief(await verifier.verify(GOOD, { signal }))).toBe('valid cache');
  });

  test('stats() counts results by their source', async () => {
    const { server, build } = await rig();
    const verifier = build({ retries: 0 });
    await verifier.verify(GOOD);
    await verifier.verify(GOOD);
    await verifier.verify('');
    await server.stop();
    await verifier.verify(OTHER);
    await verifier.verify(OTHER, { failOpen: true });
    expect(verifier.stats()).toEqual({
      results: { server: 1, shared: 0, cache: 1, stale: 0, local: 1, 'fail-open': 1, 'fail-closed': 1 },
      statuses: {
        verified: { server: 1, shared: 0, cache: 1, stale: 0 },
        rejected: { server: 0, shared: 0, cache: 0, stale: 0, local: 1 },
        'failed-open': 1,
        'failed-closed': 1,
      },
      reasons: { missing_key: 1 },
      failures: {
        unreachable: 2,
        timeout: 0,
        server_error: 0,
        rate_limited: 0,
        overloaded: 0,
        circuit_open: 0,
        misconfigured: 0,
        invalid_response: 0,
      },
      requests: 4,
      retries: 0,
      coalesced: 0,
      refreshes: 0,
      evictions: 0,
      entries: { verified: 1, rejected: 0 },
      active: 0,
      queued: 0,
      controls: 1,
      breaker: 'closed',
      shared: {
        operations: { get: 0, put: 0, lease: 0, probe: 0 },
        hits: 0,
        misses: 0,
        unsealable: 0,
        failures: 0,
      },
      revocations: { messages: 0, revoked: 0, gaps: 0, down: false },
    });
  });
});

describe('claims', () => {
  const schema = z.object({ plan: z.enum(['free', 'pro']), seats: z.number().default(1) });

  test('are typed and filled in by a Standard Schema', async () => {
    const { server } = await rig();
    const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: TOKEN, claims: schema });
    const result = await verifier.verify(GOOD);
    if (!isVerified(result)) throw new Error('expected a verified key');
    expectTypeOf(result.claims).toEqualTypeOf<{ plan: 'free' | 'pro'; seats: number }>();
    expect(result.claims).toEqual({ plan: 'pro', seats: 1 });
    await verifier.close();
  });

  test('that do not fit are no verdict', async () => {
    const { server } = await rig({ [GOOD]: { ...ACME, claims: { plan: 'stolen' } } });
    const options = { verifyUrl: server.verifyUrl, serviceToken: TOKEN, retries: 0 };
    for (const claims of [schema, schema.refine(async () => await Promise.resolve(true))]) {
      const verifier = new KeyVerifier({ ...options, claims });
      const result = await verifier.verify(GOOD);
      expect(brief(result)).toBe('closed misconfigured');
      expect(result).toHaveProperty('failure.message', expect.stringContaining('plan'));
      await verifier.close();
    }
  });
});

describe('ways to the key server', () => {
  test("the caller's own fetch", async () => {
    const { build } = await rig();
    const fetch = vi.fn(globalThis.fetch);
    expect(brief(await build({ fetch }).verify(GOOD))).toBe('valid server');
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  test("the caller's own dispatcher, which close() leaves open", async () => {
    const { build } = await rig();
    const dispatcher = new Agent();
    onTestFinished(async () => await dispatcher.close());
    const verifier = build({ dispatcher });
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    await verifier.close();
    expect(dispatcher.closed).toBe(false);
  });

  test("the caller's own transport, which close() leaves open", async () => {
    const { build } = await rig();
    const close = vi.fn();
    const error = new TransportError('unreachable', 'keyverify: no');
    const transport = { send: () => ({ response: Promise.reject(error), abort: () => undefined }), close };
    const verifier = build({ transport, retries: 0 });
    expect(brief(await verifier.verify(GOOD))).toBe('closed unreachable');
    await verifier.close();
    expect(close).not.toHaveBeenCalled();
  });
});

describe('the environment', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
  });

  test('fills in what the options leave out', async () => {
    const { server } = await rig();
    vi.stubEnv('KEYVERIFY_URL', server.verifyUrl);
    vi.stubEnv('KEYVERIFY_SERVICE_TOKEN', TOKEN);
    vi.stubEnv('KEYVERIFY_SCOPE', 'cust-B');
    const verifier = new KeyVerifier();
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server scope_mismatch');
    await verifier.close();
  });

  test('a verifier cannot be built in a browser window without dangerouslyAllowBrowser', () => {
    vi.stubGlobal('window', {});
    vi.stubGlobal('document', {});
    const options = { verifyUrl: 'https://keys.example/', serviceToken: TOKEN };
    expect(() => new KeyVerifier(options)).toThrow(/dangerouslyAllowBrowser/);
    expect(() => new KeyVerifier({ ...options, dangerouslyAllowBrowser: true })).not.toThrow();
  });
});
