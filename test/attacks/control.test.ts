import { randomUUID } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { testClock } from 'keyverify/testing';
import {
  CONTROL,
  besiege,
  build,
  during,
  crosswise,
  everyWay,
  lab,
  madeUp,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';
import type { Fault, LabServer } from './server.js';

const controls = (server: LabServer) => server.asked.filter(({ key }) => key.startsWith(CONTROL));

/** How many there may be since a moment: one at once, and one for every second since then. */
const oneASecond = (since: number): number => Math.floor((performance.now() - since) / 1_000) + 1;

describe.concurrent('what the server sees of control questions', () => {
  test.for(everyWay([{}]))(
    'none but the calibration while it answers; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, row.options);
      await besiege(verifier, { ms: 2_000, key: madeUp, everyMs: 50, burst: 30 });
      expect(controls(server).length).toBeLessThanOrEqual(1);
    },
  );

  const FAULTS: readonly { readonly fails: string; readonly fault: Fault; readonly repeats: number }[] = [
    { fails: 'get a 503', fault: { status: 503 }, repeats: 0 },
    { fails: 'are reset', fault: 'reset', repeats: 1 },
    { fails: 'hang', fault: 'hang', repeats: 0 },
  ];

  const WHOM = [
    { whom: 'all', hits: /^/ },
    { whom: 'poison keys', hits: /^sk-poison-/ },
  ];
  const table = crosswise(WHOM.flatMap((whom) => FAULTS.map((fault) => ({ ...whom, ...fault }))));
  test.for(table)('at most one a second while $whom $fails; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const calibration = controls(server).length;
    server.fault = (key) => (row.hits.test(key) ? row.fault : undefined);
    const beganAt = performance.now();
    await during(2_500, 40, async () => await verifier.verify(`sk-poison-${randomUUID()}`));
    const asked = controls(server).length - calibration;
    expect(asked).toBeLessThanOrEqual(oneASecond(beganAt) * (1 + row.repeats));
    if (row.whom === 'all') expect(asked).toBeGreaterThan(0);
  });

  test.for(everyWay([{}]))('each is another, of 128 random bits; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = () => ({ status: 503 });
    await during(2_500, 50, async () => await verifier.verify(madeUp()));
    const keys = controls(server).map(({ key }) => key);
    expect(keys.length).toBeGreaterThan(1);
    expect(new Set(keys).size).toBe(keys.length);
    // 128 bits take 22 characters at the least.
    for (const key of keys) expect(key.length - CONTROL.length).toBeGreaterThanOrEqual(22);
  });

  // By the injected clock: an outage of five minutes.
  const LONG = { timeout: 120_000 };
  test.for(everyWay([{}]))('fewer as an outage lasts; $way, failOpen: $failOpen', LONG, async (row, context) => {
    const clock = testClock();
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, clock });
    await settleIn(verifier);
    server.fault = () => ({ status: 503 });
    const count = async (seconds: number): Promise<number> => {
      const before = controls(server).length;
      for (let i = 0; i < 2 * seconds; i++) {
        const asked = verifier.verify(madeUp());
        // While the server answers, the injected clock must not run ahead of the real answer.
        if (server.fault(madeUp()) === undefined) await Promise.race([asked, sleep(50)]);
        await clock.advance(500);
        await sleep(1);
      }
      return controls(server).length - before;
    };
    const first = await count(20);
    await count(220);
    const last = await count(60);
    server.fault = () => undefined;
    await count(20);

    expect(first).toBeLessThanOrEqual(20 + 1);
    expect(last).toBeGreaterThan(0);
    expect(last / 60).toBeLessThan(first / 20);
    expect(verifier.stats().breaker).toBe('closed');
    const healthy = await count(20);
    expect(healthy).toBe(0);
  });
});

test("a caller's key that looks like that of a control question is a key like any other", async (context) => {
  const { server, verifier } = await lab(context, { failOpen: true });
  server.fault = (key) => (key.startsWith(`${CONTROL}mine`) ? { status: 503 } : undefined);
  const results = await during(500, 25, async () => await verifier.verify(`${CONTROL}mine-${randomUUID()}`));
  expect(results.filter(({ valid }) => valid)).toEqual([]);
  expect(await verifier.verify(newcomer())).toMatchObject({ valid: true, client: 'acme' });
});
