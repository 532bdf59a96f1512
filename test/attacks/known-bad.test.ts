import { describe, expect, test, type TestContext } from 'vitest';

import { isRejected, type KeyVerifierOptions } from 'keyverify';

import { crosswise, lab, letIn, madeUp, newcomer, sleep } from './lab.js';
import type { LabServer } from './server.js';

type Prepared = Awaited<ReturnType<typeof lab>>;

interface Row {
  readonly state: string;
  readonly bounds?: KeyVerifierOptions;
  /** Makes the verifier learn that a key is bad, and lets every bound pass after which it might forget that. */
  readonly learn: (prepared: Prepared, key: string) => Promise<unknown>;
  /** Whether it is known to be bad, or only has to be asked about. */
  readonly rejected: boolean;
}

const PAST_ALL_MS = 400;
const SHORT = { cacheTtlMs: 100, rejectedTtlMs: 50, staleIfErrorMs: 100 };

const refuse = async ({ server, verifier }: Prepared, key: string): Promise<void> => {
  server.revoke(key);
  await verifier.verify(key);
  await sleep(PAST_ALL_MS);
};

const end = async ({ server, verifier }: Prepared, key: string): Promise<void> => {
  const expires_at = new Date(Date.now() + 250).toISOString();
  server.verdicts.set(key, { body: { valid: true, client: 'acme', tenant: 'cust-A', expires_at } });
  expect((await verifier.verify(key)).valid).toBe(true);
  await sleep(PAST_ALL_MS);
};

const invalidate = (selector: (key: string) => object) => async (prepared: Prepared, key: string) => {
  expect((await prepared.verifier.verify(key)).valid).toBe(true);
  prepared.verifier.invalidate(selector(key) as { key: string });
};

const ROWS: readonly Row[] = [
  { state: 'refused, past every bound', bounds: SHORT, learn: refuse, rejected: true },
  { state: 'refused, staleIfErrorMs: 0', bounds: { ...SHORT, staleIfErrorMs: 0 }, learn: refuse, rejected: true },
  { state: 'refused, past rejectedTtlMs', bounds: { rejectedTtlMs: 50 }, learn: refuse, rejected: true },
  {
    state: 'verified once, then refused',
    bounds: { ...SHORT, staleIfErrorMs: 0 },
    async learn(prepared, key) {
      expect((await prepared.verifier.verify(key)).valid).toBe(true);
      await sleep(150);
      await refuse(prepared, key);
    },
    rejected: true,
  },
  { state: 'ended, while it is remembered', learn: end, rejected: true },
  { state: 'ended, past its TTL', bounds: { cacheTtlMs: 50 }, learn: end, rejected: true },
  { state: 'ended, staleIfErrorMs: 0', bounds: { ...SHORT, staleIfErrorMs: 0 }, learn: end, rejected: true },
  { state: 'ended, past every bound', bounds: { ...SHORT, staleIfErrorMs: 50 }, learn: end, rejected: true },
  { state: 'invalidated by key', learn: invalidate((key) => ({ key })), rejected: false },
  { state: 'invalidated by key id', learn: invalidate(() => ({ keyId: 'k-1' })), rejected: false },
  { state: 'invalidated by client', learn: invalidate(() => ({ client: 'acme' })), rejected: false },
  { state: 'invalidated by tenant', learn: invalidate(() => ({ tenant: 'cust-A' })), rejected: false },
];

type Begin = (server: LabServer) => unknown;
const stop: Begin = async (server) => await server.stop();
const fail: Begin = (server) => (server.fault = () => ({ status: 503 }));

describe.concurrent('a key that is known to be bad never opens', () => {
  const table = crosswise(
    ROWS.map((row, i) => ({
      ...row,
      ...(i % 3 === 0 ? { outage: 'nobody listens', begin: stop } : { outage: '503 for all', begin: fail }),
    })),
  );
  test.for(table)('$state, then $outage; $way, failOpen: $failOpen', async (row, context: TestContext) => {
    const prepared = await lab(context, { ...row.bounds, ...row.options });
    const { server, verifier } = prepared;
    const key = newcomer();
    await row.learn(prepared, key);
    await row.begin(server);

    const results = [];
    let opened = false;
    for (let i = 0; i < 8; i++) {
      opened ||= (await verifier.verify(madeUp())).valid;
      results.push(await verifier.verify(key));
      await sleep(50);
    }

    // Else this would prove nothing.
    expect(opened).toBe(row.failOpen);
    expect(letIn(results)).toEqual({});
    if (row.rejected) expect(results.filter((result) => !isRejected(result))).toEqual([]);
  });
});
