import { inspect } from 'node:util';

import { describe, expect, test } from 'vitest';

import type { KeyVerifier, VerifyFailure } from 'keyverify';
import type { Fault } from 'keyverify/testing';

import { ACME, GOOD, OTHER, TOKEN, brief, rig, settle, until } from './helpers/rig.js';

const TTL = 300_000;
const STALE = 3_600_000;
const DOWN: Fault = { kind: 'status', status: 503 };

test('invariant 1: no failure is ever cached as a verdict, and no policy outcome is ever cached', async () => {
  const { server, build } = await rig();
  const verifier = build({ failOpen: true, retries: 0, breaker: false });
  const faults: Fault[] = [
    DOWN,
    { kind: 'reset-before-headers' },
    { kind: 'html' },
    { kind: 'status', status: 401 },
    { kind: 'redirect', location: 'http://127.0.0.1:1/' },
  ];
  for (const fault of faults) {
    server.injectFault(fault);
    expect(brief(await verifier.verify(GOOD))).toMatch(/^(open|closed) /);
    expect(verifier.peek(GOOD)).toBeUndefined();
    expect(verifier.stats().entries).toEqual({ verified: 0, rejected: 0 });
  }
  server.clearFaults();
  expect(brief(await verifier.verify(GOOD))).toBe('valid server');
});

test('invariant 2: hits never extend the age of a verdict, and an outage never past TTL and staleness', async () => {
  const { server, clock, build } = await rig();
  const verifier = build({ refreshAheadRatio: 1, retries: 0, breaker: false });
  await verifier.verify(GOOD);
  for (let passed = 0; passed < TTL; passed += TTL / 10) {
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await clock.advance(TTL / 10);
  }
  server.injectFault(DOWN);
  for (let passed = 0; passed < STALE; passed += STALE / 10) {
    expect(brief(await verifier.verify(GOOD))).toBe('valid stale');
    await clock.advance(STALE / 10);
  }
  expect(brief(await verifier.verify(GOOD))).toBe('closed server_error');
});

describe('invariant 3: with the server reachable, a revoked key is refused within cacheTtlMs', () => {
  test.each([0, 0.5, 0.999])('with chance at %d', async (chance) => {
    const { server, clock, build } = await rig();
    const verifier = build({ random: () => chance, refreshAheadRatio: 1 });
    await verifier.verify(GOOD);
    server.revoke(GOOD);
    await clock.advance(TTL - TTL / 10 - 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await clock.advance(TTL / 10 + 1);
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
  });
});

test('invariant 4: invalidate wins over a question already in flight', async () => {
  for (const selector of [{ key: GOOD }, { keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }, undefined]) {
    const { server, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'delay', ms: 30 }, { times: 1 });
    const flying = verifier.verify(GOOD);
    await until(() => server.asked(GOOD) === 1);
    server.revoke(GOOD);
    if (selector === undefined) verifier.clear();
    else verifier.invalidate(selector);
    // It neither joins the old flight nor is it undone by the old answer, which comes in later.
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
    // Nor does it let in those who waited for it.
    expect(brief(await flying)).toBe('rejected server revoked');
    expect(brief(await verifier.verify(GOOD))).toBe('rejected cache revoked');
  }
});

test('invariant 5: rejected verdicts cannot evict verified ones, and every map and queue is bounded', async () => {
  const { server, build } = await rig();
  const verifier = build({ maxEntries: 10, maxRejectedEntries: 20, maxConcurrency: 1, retries: 0 });
  await verifier.verify(GOOD);
  for (let i = 0; i < 50; i++) await verifier.verify(`sk-made-up-${i}`);
  expect(verifier.stats().entries).toEqual({ verified: 1, rejected: 20 });
  expect(brief(await verifier.verify(GOOD))).toBe('valid cache');

  for (let i = 0; i < 20; i++) {
    server.issue(`sk-real-${i}`, ACME);
    await verifier.verify(`sk-real-${i}`);
  }
  expect(verifier.stats().entries).toEqual({ verified: 10, rejected: 20 });

  server.injectFault({ kind: 'hang' });
  const flood = Array.from({ length: 200 }, async (_, i) => brief(await verifier.verify(`sk-flood-${i}`)));
  expect(verifier.stats()).toMatchObject({ active: 1, queued: 64 });
  await server.stop();
  const answers = await Promise.all(flood);
  expect(answers.filter((answer) => answer === 'closed overloaded')).toHaveLength(200 - 65);
});

describe('invariant 6: one fingerprint, one flight', () => {
  test('however many ask at once, the server is asked once', async () => {
    const { server, build } = await rig();
    const verifier = build();
    const results = await Promise.all(Array.from({ length: 200 }, async () => await verifier.verify(GOOD)));
    expect(new Set(results).size).toBe(1);
    expect(server.counts.requests).toBe(1);
  });

  test('a caller who leaves does not end it for the others', async () => {
    const { server, build } = await rig();
    const verifier = build();
    server.injectFault({ kind: 'delay', ms: 30 });
    const leaving = new AbortController();
    const first = verifier.verify(GOOD, { signal: leaving.signal });
    const second = verifier.verify(GOOD);
    const reason = new Error('gone');
    leaving.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(brief(await second)).toBe('valid server');
    expect(server.counts.requests).toBe(1);
  });

  test('nobody waits past timeoutMs, retries and queue included', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ timeoutMs: 500, retries: 3, maxConcurrency: 1, breaker: false });
    server.injectFault({ kind: 'hang' });
    const results = [GOOD, OTHER, 'sk-third', 'sk-third'].map(async (key) => brief(await verifier.verify(key)));
    // The clock stops after 500 ms: who still waits then waits forever.
    for (const result of await settle(Promise.all(results), clock, 500))
      expect(result).toMatch(/^closed (timeout|overloaded)$/);
  });
});

describe('invariant 7: failing open needs an outage of the server', () => {
  const attempt = async (fault: Fault, key: string | undefined): Promise<string> => {
    const { server, build } = await rig();
    server.injectFault(fault);
    return brief(await build({ failOpen: true, retries: 0, keyFormat: /^sk-/ }).verify(key));
  };

  test('an outage opens', async () => {
    expect(await attempt(DOWN, GOOD)).toBe('open server_error');
  });

  test.each(['', undefined, 'x'.repeat(5_000), 'sk-\n', 'sk-\uD800', 'other-format'])(
    'the shape of a key does not: %j',
    async (key) => {
      expect(await attempt(DOWN, key)).toMatch(/^rejected local (missing|malformed)_key$/);
    },
  );

  test('the rate limit of the server does not', async () => {
    expect(await attempt({ kind: 'status', status: 429 }, GOOD)).toBe('closed rate_limited');
  });

  test('our own load does not, while the server answers others', async () => {
    const { server, clock, build } = await rig();
    const verifier = build({ failOpen: true, maxConcurrency: 1, retries: 0, timeoutMs: 100, breaker: false });
    await verifier.verify(GOOD);
    // Answers come, but fewer than there are questions.
    server.injectFault({ kind: 'delay', ms: 20 });
    const flood = Array.from({ length: 70 }, async (_, i) => brief(await verifier.verify(`sk-flood-${i}`)));
    await until(() => server.counts.inFlight === 1);
    const answers = await settle(Promise.all(flood), clock, 1_000);
    expect(answers.filter((answer) => answer.startsWith('open'))).toEqual([]);
    expect(answers.filter((answer) => answer === 'closed overloaded').length).toBeGreaterThan(0);
  });

  test.each([
    ['rejected', 'sk-made-up', () => undefined],
    ['invalidated', GOOD, (verifier: KeyVerifier<boolean>) => verifier.invalidate({ key: GOOD })],
    [
      'invalidated with all of its tenant',
      GOOD,
      (verifier: KeyVerifier<boolean>) => verifier.invalidate({ tenant: 'cust-A' }),
    ],
  ])('a key that was %s is not let in, not even after clear()', async (_, key, stop) => {
    const { server, clock, build } = await rig();
    const verifier = build({ failOpen: true, retries: 0 });
    await verifier.verify(key);
    expect(await verifier.check()).toMatchObject({ ok: true });
    await clock.advance(1_000);
    stop(verifier);
    verifier.clear();
    server.injectFault(DOWN);
    const asked = [key, OTHER].map(async (each) => brief(await verifier.verify(each)));
    expect(await settle(Promise.all(asked), clock, 2_000)).toEqual(['closed server_error', 'open server_error']);
  });

  test('wrong settings and garbage do not', async () => {
    expect(await attempt({ kind: 'status', status: 403 }, GOOD)).toBe('closed misconfigured');
    expect(await attempt({ kind: 'html' }, GOOD)).toBe('closed invalid_response');
  });
});

describe('invariant 8: a clock that jumps can only make a verdict expire earlier', () => {
  test.each([
    ['the wall clock jumps ahead', (jump: { wall: (ms: number) => void }) => jump.wall(TTL)],
    ['the monotonic clock jumps ahead', (jump: { mono: (ms: number) => void }) => jump.mono(TTL)],
    [
      'the wall clock is set back before the TTL passes',
      (jump: { wall: (ms: number) => void; mono: (ms: number) => void }) => {
        jump.wall(-10 * TTL);
        jump.mono(TTL);
      },
    ],
    [
      'the machine sleeps, and the monotonic clock with it',
      (jump: { wall: (ms: number) => void; mono: (ms: number) => void }) => {
        jump.wall(2 * TTL);
        jump.mono(1);
      },
    ],
  ])('%s', async (_name, jump) => {
    const { server, clock, build } = await rig();
    const verifier = build();
    await verifier.verify(GOOD);
    server.revoke(GOOD);
    jump({ wall: (ms) => clock.jumpWall(ms), mono: (ms) => clock.jumpMono(ms) });
    expect(verifier.peek(GOOD)).toBeUndefined();
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
  });
});

test('invariant 9: no key and no service token in any error, log, event, inspection or serialisation', async () => {
  const { server, build } = await rig();
  const seen: unknown[] = [];
  const see = (what: unknown): number => seen.push(what);
  const verifier = build({
    retries: 0,
    logger: { warn: see },
    observers: [
      {
        onVerdict: see,
        onFailure: see,
        onStale: see,
        onFailOpen: see,
        onBreaker: see,
        onControl: see,
        onInvalidate: see,
      },
    ],
    breaker: { failureThreshold: 1 },
    failOpen: true,
  });
  const faults: (Fault | undefined)[] = [
    undefined,
    { kind: 'raw', status: 200, headers: { 'content-type': 'application/json' }, body: `{"oops":"${GOOD}${TOKEN}` },
    { kind: 'status', status: 401 },
    { kind: 'redirect', location: `http://127.0.0.1/?key=${GOOD}&token=${TOKEN}` },
    { kind: 'reset-before-headers' },
  ];
  for (const fault of faults) {
    if (fault !== undefined) server.injectFault(fault);
    see(await verifier.verify(GOOD, { maxAgeMs: 0 }));
  }
  see(verifier);
  see(verifier.stats());
  for (const thing of seen)
    for (const text of [
      inspect(thing, { depth: Infinity, showHidden: true }),
      JSON.stringify(thing),
      String(thing),
      inspect(structuredClone(thing), { depth: Infinity }),
      inspect(typeof thing === 'object' ? { ...thing } : thing, { depth: Infinity }),
    ]) {
      expect(text).not.toContain(GOOD);
      expect(text).not.toContain(TOKEN);
    }
  expect(seen.length).toBeGreaterThan(10);
});

test('invariant 10: verify() never throws for what network or server do, and no promise is left unhandled', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): number => unhandled.push(reason);
  process.on('unhandledRejection', note);
  const { server, build } = await rig();
  const failures: VerifyFailure[] = [];
  const verifier = build({
    retries: 0,
    breaker: { failureThreshold: 2 },
    observers: [
      {
        onFailure: async ({ failure }) => {
          failures.push(failure);
          await Promise.reject(new Error('an observer that rejects'));
        },
      },
    ],
  });
  const watched = build({
    observers: [
      {
        onVerdict: () => {
          throw new Error('an observer that throws');
        },
      },
    ],
  });
  const faults: Fault[] = [
    { kind: 'reset-before-headers' },
    { kind: 'reset-after-headers' },
    { kind: 'close-mid-body' },
    { kind: 'truncated-json' },
    { kind: 'wrong-shape' },
    { kind: 'wrong-content-type' },
    { kind: 'huge-body' },
    { kind: 'status', status: 418 },
    { kind: 'status', status: 204 },
    { kind: 'redirect', location: 'not a url' },
  ];
  for (const fault of faults) {
    server.injectFault(fault);
    await expect(verifier.verify(GOOD)).resolves.toMatchObject({ valid: false });
  }
  server.clearFaults();
  await expect(watched.verify(GOOD)).resolves.toMatchObject({ valid: true });
  await server.stop();
  await expect(verifier.verify('sk-unseen')).resolves.toMatchObject({ valid: false });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(failures.length).toBeGreaterThan(0);
  expect(unhandled).toEqual([]);
});

test('no key is taken for another that is hashed like it', async () => {
  const { server, build } = await rig();
  const verifier = build();
  for (const key of ['sk-\uFFFD', 'sk-\uD800', 'sk-\uDFFF', 'sk-\uFFFD']) {
    expect(brief(await verifier.verify(key))).toBe('rejected local malformed_key');
    expect(verifier.peek(key)).toMatchObject({ reason: 'malformed_key' });
  }
  expect(server.counts.requests).toBe(0);
  expect(verifier.stats().entries).toEqual({ verified: 0, rejected: 0 });
});
