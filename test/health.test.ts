import { describe, expect, test } from 'vitest';

import type { FailureKind, Health, KeyVerifier } from 'keyverify';
import type { Fault } from 'keyverify/testing';

import { GOOD, OTHER, rig, settle, until, type Rig } from './helpers/rig.js';
import { serve } from './helpers/http.js';

const TIMEOUT = 2_000;

interface Row {
  readonly fault: Fault | 'stop';
  /** What a question fails by; `undefined` if it is answered all the same. */
  readonly kind: FailureKind | undefined;
  /** After a single question. Where it is not `down` at once, a control question has to confirm it. */
  readonly status: Health['status'];
}

const ROWS: readonly Row[] = [
  { fault: 'stop', kind: 'unreachable', status: 'down' },
  { fault: { kind: 'hang' }, kind: 'timeout', status: 'down' },
  { fault: { kind: 'delay', ms: 5 }, kind: undefined, status: 'ok' },
  { fault: { kind: 'reset-before-headers' }, kind: 'unreachable', status: 'down' },
  { fault: { kind: 'reset-after-headers' }, kind: 'unreachable', status: 'down' },
  { fault: { kind: 'close-mid-body' }, kind: 'unreachable', status: 'down' },
  { fault: { kind: 'drip', intervalMs: TIMEOUT }, kind: 'timeout', status: 'down' },
  { fault: { kind: 'status', status: 401 }, kind: 'misconfigured', status: 'degraded' },
  { fault: { kind: 'status', status: 404 }, kind: 'misconfigured', status: 'degraded' },
  { fault: { kind: 'status', status: 429, retryAfter: 1 }, kind: 'rate_limited', status: 'degraded' },
  { fault: { kind: 'status', status: 500 }, kind: 'server_error', status: 'down' },
  { fault: { kind: 'status', status: 503, retryAfter: 1 }, kind: 'server_error', status: 'down' },
  { fault: { kind: 'redirect', location: 'http://127.0.0.1:1/' }, kind: 'misconfigured', status: 'degraded' },
  { fault: { kind: 'html' }, kind: 'invalid_response', status: 'degraded' },
  { fault: { kind: 'truncated-json' }, kind: 'invalid_response', status: 'degraded' },
  { fault: { kind: 'wrong-shape' }, kind: 'invalid_response', status: 'degraded' },
  { fault: { kind: 'huge-body' }, kind: 'invalid_response', status: 'degraded' },
  { fault: { kind: 'wrong-content-type' }, kind: 'invalid_response', status: 'degraded' },
  { fault: { kind: 'raw', status: 200, body: '{"valid":true}' }, kind: 'invalid_response', status: 'degraded' },
];

/** The compiler demands each of them here, and a test below that it has a row. */
const KINDS: Readonly<Record<Fault['kind'] | 'stop', true>> = {
  stop: true,
  hang: true,
  delay: true,
  'reset-before-headers': true,
  'reset-after-headers': true,
  'close-mid-body': true,
  drip: true,
  status: true,
  redirect: true,
  html: true,
  'truncated-json': true,
  'wrong-shape': true,
  'huge-body': true,
  'wrong-content-type': true,
  raw: true,
};

test('every fault of the testing kit has a row', () => {
  const kinds = ROWS.map(({ fault }) => (fault === 'stop' ? fault : fault.kind));
  expect([...new Set(kinds)].toSorted()).toEqual(Object.keys(KINDS).toSorted());
});

const named = ROWS.map((row) => ({ ...row, name: JSON.stringify(row.fault) }));

async function breakIt({ server }: Rig, fault: Row['fault']): Promise<void> {
  if (fault === 'stop') await server.stop();
  else server.injectFault(fault);
}

async function mend({ server }: Rig, fault: Row['fault']): Promise<void> {
  if (fault === 'stop') await server.start();
  else server.clearFaults();
}

/** A verifier that has been answered once; the clock stands still but for `settle()`. */
async function wellVerifier(): Promise<Rig & { readonly verifier: KeyVerifier }> {
  const made = await rig();
  const verifier = made.build({ retries: 0 });
  await verifier.verify(GOOD);
  return { ...made, verifier };
}

describe('check()', () => {
  test.each(named)('tells the truth in $name', async ({ fault, kind }) => {
    const made = await wellVerifier();
    const { verifier, clock } = made;
    await breakIt(made, fault);
    const checked = await settle(verifier.check(), clock, 20_000);
    expect([checked.ok, checked.failure?.kind]).toEqual([kind === undefined, kind]);
    await mend(made, fault);
    expect(await settle(verifier.check(), clock, 20_000)).toMatchObject({ ok: true });
  });

  test('asks at most once a second, and all who check at once get the same answer', async () => {
    const { verifier, clock, server } = await wellVerifier();
    const before = server.counts.requests;
    const checks = Array.from({ length: 5 }, async () => await verifier.check());
    await settle(Promise.all(checks), clock, 5_000);
    expect(server.counts.requests - before).toBe(1);
    const again = verifier.check();
    await until(() => verifier.stats().controls === 1);
    await clock.advance(900);
    expect(server.counts.requests - before).toBe(1);
    await settle(again, clock, 5_000);
    expect(server.counts.requests - before).toBe(2);
  });

  test('does not take the answer to a question that was asked before', async () => {
    const { verifier, clock, server } = await wellVerifier();
    server.injectFault({ kind: 'hang' });
    const early = verifier.check();
    await until(() => server.counts.faults === 1);
    server.clearFaults();
    await clock.advance(10);
    const late = verifier.check();
    expect((await settle(early, clock, 20_000)).failure?.kind).toBe('timeout');
    expect((await settle(late, clock, 20_000)).ok).toBe(true);
  });

  test('rejects with the reason of its signal, before and while it waits', async () => {
    const { verifier, server, clock } = await wellVerifier();
    const reason = new Error('gone');
    await expect(verifier.check({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const wrong = await verifier.check({ signal: 'soon' } as never);
    expect(wrong).toMatchObject({ ok: false, failure: { kind: 'misconfigured' }, latencyMs: 0 });
    server.injectFault({ kind: 'hang' });
    const controller = new AbortController();
    const left = verifier.check({ signal: controller.signal });
    await until(() => server.counts.faults === 1);
    controller.abort(reason);
    await expect(left).rejects.toBe(reason);
    server.clearFaults();
    await clock.advance(10);
    const { signal } = new AbortController();
    expect((await settle(verifier.check({ signal }), clock, 20_000)).ok).toBe(true);
  });

  test('fails once the verifier is closed, and when it is closed meanwhile', async () => {
    const { verifier, clock } = await wellVerifier();
    await settle(verifier.check(), clock, 5_000);
    const waiting = verifier.check();
    await verifier.close();
    expect((await waiting).failure?.kind).toBe('misconfigured');
    expect((await verifier.check()).failure?.kind).toBe('misconfigured');
  });

  test('is told of a control question whose transport never says whether it is overloaded', async () => {
    const { build, clock } = await rig();
    const verifier = build({
      transport: {
        send: () => ({ response: new Promise(() => undefined), abort: () => undefined }),
        isOverloaded: () => new Promise(() => undefined),
      },
    });
    const checked = await settle(verifier.check(), clock, 20_000);
    expect(checked).toMatchObject({ ok: false, failure: { kind: 'overloaded' } });
    // timeoutMs, and what the transport has to find out.
    expect(checked.latencyMs).toBe(2_250);
  });

  test.each([
    [{ date: 'Thu, 01 Jan 2026 00:00:00 GMT' }, -500],
    [{ date: 'Wed, 31 Dec 2025 23:00:00 GMT' }, 3_599_500],
    [{ date: 'Thu, 01 Jan 2026 00:10:00 GMT' }, -600_500],
    [{ date: 'yesterday' }, undefined],
    [{ date: 'Thu, 01 Jan 2026 00:00:00 GMT', age: '60' }, undefined],
  ])('tells how far this clock is ahead of a server that sends %j', async (headers, clockSkewMs) => {
    const server = await serve((response) => {
      response.sendDate = false;
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end('{"valid":false,"reason":"unknown_key"}');
    });
    const { build, clock } = await rig();
    const verifier = build({ verifyUrl: server.origin });
    const result = await settle(verifier.check(), clock, 5_000);
    expect(result).toMatchObject({ ok: true });
    const tolerance = (result.latencyMs + 1) / 2;
    if (clockSkewMs === undefined) expect(result).not.toHaveProperty('clockSkewMs');
    else expect(Math.abs((result.clockSkewMs ?? NaN) - clockSkewMs)).toBeLessThanOrEqual(tolerance);
  });
});

describe('health()', () => {
  test.each(named)('tells the truth in $name, and when it is over', async ({ fault, kind, status }) => {
    const made = await wellVerifier();
    const { verifier, clock } = made;
    const lastVerdictAt = clock.wall();
    expect(verifier.health()).toEqual({ status: 'ok', since: lastVerdictAt, lastVerdictAt, breaker: 'closed' });
    await breakIt(made, fault);
    // Where no timeout is due, time hardly passes: on a busy machine, an answer would come too late.
    await settle(verifier.verify(OTHER), clock, 5_000, kind === 'timeout' ? 10 : 1);
    await until(() => verifier.stats().active === 0);
    const health = verifier.health();
    expect([health.status, health.failure?.kind]).toEqual([status, kind]);
    if (kind === undefined) return;
    expect(health.lastVerdictAt).toBe(lastVerdictAt);
    // Nobody asks, and it is found out all the same, unless all that is known is that our rate is limited.
    for (let i = 0; i < 700; i++) await settle(Promise.resolve(), clock, 0).then(async () => await clock.advance(10));
    await settle(verifier.check(), clock, 20_000);
    expect(verifier.health().status).toBe(kind === 'rate_limited' ? 'degraded' : 'down');
    await mend(made, fault);
    const mended = async (): Promise<void> => {
      while (verifier.health().status !== 'ok') await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await settle(mended(), clock, 60_000);
    expect(verifier.health().lastVerdictAt).toBeGreaterThan(lastVerdictAt);
  });

  test('is down while the breaker is open, with what opened it, and after close()', async () => {
    const { verifier, server, clock } = await wellVerifier();
    await server.stop();
    for (let i = 0; i < 6; i++) await settle(verifier.verify(`sk-new-${i}`), clock, 5_000);
    const health = verifier.health();
    expect([health.status, health.failure?.kind, health.breaker]).toEqual(['down', 'unreachable', 'open']);
    await server.start();
    await settle(
      until(() => verifier.health().status === 'ok'),
      clock,
      20_000,
    );
    expect(verifier.health().breaker).toBe('closed');
    await verifier.close();
    expect(verifier.health()).toMatchObject({ status: 'down', failure: { kind: 'misconfigured' } });
  });
});
