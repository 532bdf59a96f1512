import { describe, expect, test } from 'vitest';

import type { FailureKind, KeyVerifier } from 'keyverify';
import { defineProtocol, introspection } from 'keyverify/protocols';
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

const fault = (fault: Fault) => (rig: Rig) => rig.server.injectFault(fault);
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
      server.injectFault({ kind: 'hang' });
      // The first takes the only slot; the others fill the lane of keys that were good, and that of all others.
      for (const key of [...FILLERS, ...STRANGERS]) void verifier.verify(key);
      await until(() => server.counts.inFlight === 1);
    },
  },
  {
    kind: 'circuit_open',
    outage: true,
    asks: false,
    break: async ({ server, clock }, verifier) => {
      // Without a Retry-After, new keys are asked about briefly.
      server.injectFault({ kind: 'status', status: 503, retryAfter: 1 });
      // The breaker is open before the last of them, which is asked about all the same: one in each lane now and then is.
      for (const key of [...STRANGERS.slice(0, 5), ...FILLERS.slice(0, 1)])
        await settle(verifier.verify(key), clock, 5_000);
      await until(() => verifier.stats().active === 0);
    },
  },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 401 }) },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 403 }) },
  { kind: 'misconfigured', outage: false, asks: true, break: fault({ kind: 'status', status: 404 }) },
  {
    kind: 'misconfigured',
    outage: false,
    asks: true,
    break: ({ server }) => server.injectFault({ kind: 'redirect', location: server.verifyUrl }),
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

/** The contract, a protocol of others with credentials of its own, and one that shares nothing with the contract. */
const PROTOCOLS = [
  { name: 'the contract', protocol: undefined, unknown: 'unknown_key' },
  {
    name: 'introspection',
    protocol: introspection({ clientId: 'us', clientSecret: 'secret-0123456789', tenant: 'org_id' }),
    unknown: 'rejected',
  },
  {
    name: 'a definition',
    protocol: defineProtocol({
      method: 'GET',
      auth: { header: 'authorization', prefix: 'Bearer ' },
      key: { in: 'header', name: 'x-key', as: 'sha256-hex' },
      rejects: [{ status: 410, when: () => true }],
      verdict: { identity: 'data', client: 'data.owner.id', tenant: 'data.owner.org' },
    }),
    unknown: 'rejected',
  },
];

const CASES = ROWS.flatMap((row) =>
  STATES.flatMap((state) => [false, true].map((failOpen) => ({ ...row, ...state, failOpen }))),
);

describe.each(PROTOCOLS)('every failure by $name, whatever is remembered', ({ protocol }) => {
  test.each(CASES)('$kind with $state, failOpen: $failOpen', async (row) => {
    const issued = Object.fromEntries([GOOD, ...FILLERS].map((key) => [key, ACME]));
    const bench = await rig(issued, protocol);
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
    // After a timeout, the real thread pool is asked, and the injected clock runs on meanwhile.
    expect(clock.monotonic() - startedAt).toBeLessThanOrEqual(TIMEOUT + (row.kind === 'timeout' ? 1_000 : 10));
  });
});

describe.each(PROTOCOLS)('a known rejection by $name outweighs every failure', ({ protocol, unknown }) => {
  test.each(ROWS.filter(({ kind }) => kind !== 'overloaded'))('$kind', async (row) => {
    const bench = await rig(undefined, protocol);
    const { clock, build } = bench;
    const verifier = build({ failOpen: true, retries: 0, refreshAheadRatio: 1 });
    await verifier.verify('sk-unknown');
    await clock.advance(60_000);
    await row.break(bench, verifier);
    const result = await settle(verifier.verify('sk-unknown'), clock, 2 * TIMEOUT);
    expect(brief(result)).toBe(`rejected stale ${unknown}`);
  });
});
