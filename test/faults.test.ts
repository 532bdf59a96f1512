import { describe, expect, test } from 'vitest';

import type { FailureKind, KeyVerifier } from 'keyverify';
import type { Fault } from 'keyverify/testing';

import { ACME, GOOD, brief, rig, settle, until, type Rig } from './helpers/rig.js';

const TTL = 300_000;
const STALE = 3_600_000;
const TIMEOUT = 2_000;

/** How a failure comes about, and whether the key server is asked at all. */
interface Row {
  readonly kind: FailureKind;
  readonly outage: boolean;
  readonly asks: boolean;
  readonly break: (rig: Rig, verifier: KeyVerifier<boolean>) => unknown;
}

const fault = (fault: Fault) => (rig: Rig) => rig.server.misbehave(fault);
const FILLERS = Array.from({ length: 65 }, (_, i) => `sk-filler-${i}`);
const STRANGERS = Array.from({ length: 64 }, (_, i) => `sk-stranger-${i}`);

const ROWS: readonly Row[] = [
  { kind: 'unreachable', outage: true, asks: false, break: async ({ server }) => await server.stop() },
  { kind: 'unreachable', outage: true, asks: true, break: fault({ kind: 'reset-before-headers' }) },
  { kind: 'unreachable', outage: true, asks: true, break: fault({ kind: 'reset-after-headers' }) },
  { kind: 'unreachable', outage: true, asks: true, break: fault({ kind: 'close-mid-body' }) },
  { kind: 'timeout', outage: true, asks: true, break: fault({ kind: 'hang' }) },
  { kind: 'timeout', outage: true, asks: true, break: fault({ kind: 'drip', intervalMs: 2_000 }) },
  { kind: 'server_error', outage: true, asks: true, break: fault({ kind: 'status', status: 500 }) },
  { kind: 'server_error', outage: true, asks: true, break: fault({ kind: 'status', status: 503, retryAfter: 1 }) },
  { kind: 'rate_limited', outage: false, asks: true, break: fault({ kind: 'status', status: 429, retryAfter: 1 }) },
  {
    kind: 'overloaded',
    outage: false,
    asks: false,
    break: async ({ server }, verifier) => {
      server.misbehave({ kind: 'hang' });
      // The first takes the only slot; the others fill the lane of keys that were good, and that of all others.
      for (const key of [...FILLERS, ...STRANGERS]) void verifier.verify(key);
      await until(() => server.counts.inFlight === 1);
    },
  },
  {
    kind: 'circuit_open',
    outage: true,
    asks: false,
    break: async ({ server }, verifier) => {
      server.misbehave({ kind: 'status', status: 500 });
      for (const key of STRANGERS.slice(0, 5)) await verifier.verify(key);
    },
  },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 401 }) },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 403 }) },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 404 }) },
  {
    kind: 'misconfigured',
    outage: false,
    asks: true,
    break: ({ server }) => server.misbehave({ kind: 'redirect', location: server.verifyUrl }),
  },
  { kind: 'invalid_response', outage: false, asks: true, break: fault({ kind: 'html' }) },
  { kind: 'invalid_response', outage: false, asks: true, break: fault({ kind: 'truncated-json' }) },
  { kind: 'invalid_response', outage: false, asks: true, break: fault({ kind: 'wrong-shape' }) },
  { kind: 'invalid_response', outage: false, asks: true, break: fault({ kind: 'wrong-content-type' }) },
  { kind: 'invalid_response', outage: false, asks: true, break: fault({ kind: 'huge-body' }) },
];

/** How old the verdict is that is remembered when the failure comes. */
const STATES = [
  { state: 'no verdict', age: undefined, usable: false },
  { state: 'a fresh verdict', age: 0, usable: true },
  { state: 'a stale verdict', age: TTL, usable: true },
  { state: 'a verdict past its staleness', age: TTL + STALE, usable: false },
];

const CASES = ROWS.flatMap((row) =>
  STATES.flatMap((state) => [false, true].map((failOpen) => ({ ...row, ...state, failOpen }))),
);

describe('every failure, whatever is remembered', () => {
  test.each(CASES)('$kind with $state, failOpen: $failOpen', async (row) => {
    const issued = Object.fromEntries([GOOD, ...FILLERS].map((key) => [key, ACME]));
    const bench = await rig(issued);
    const { server, clock, build } = bench;
    const verifier = build({ failOpen: row.failOpen, retries: 0, maxConcurrency: 1, refreshAheadRatio: 1 });
    const remembered = row.age === undefined ? FILLERS : [GOOD, ...FILLERS];
    for (const key of remembered) await verifier.verify(key);
    await clock.advance(row.age ?? TTL);
    // A fresh verdict of the fillers would not fill the lane.
    if (row.age === 0 && row.kind === 'overloaded') for (const key of FILLERS) verifier.invalidate({ key });
    await row.break(bench, verifier);
    const askedBefore = server.asked(GOOD);
    const startedAt = clock.monotonic();

    const result = await settle(verifier.verify(GOOD), clock, 2 * TIMEOUT);

    const otherwise = row.failOpen && row.outage ? `open ${row.kind}` : `closed ${row.kind}`;
    const expected = row.usable ? (row.age === 0 ? 'valid cache' : 'valid stale') : otherwise;
    expect(brief(result)).toBe(expected);
    expect(server.asked(GOOD) - askedBefore).toBe(row.asks && row.age !== 0 ? 1 : 0);
    expect(clock.monotonic() - startedAt).toBeLessThanOrEqual(TIMEOUT + 10);
  });
});

describe('a known rejection outweighs every failure', () => {
  test.each(ROWS.filter(({ kind }) => kind !== 'overloaded'))('$kind', async (row) => {
    const bench = await rig();
    const { clock, build } = bench;
    const verifier = build({ failOpen: true, retries: 0, refreshAheadRatio: 1 });
    await verifier.verify('sk-unknown');
    await clock.advance(60_000);
    await row.break(bench, verifier);
    const result = await settle(verifier.verify('sk-unknown'), clock, 2 * TIMEOUT);
    expect(brief(result)).toBe('rejected stale unknown_key');
  });
});
