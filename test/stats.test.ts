import { expect, test } from 'vitest';

import { fingerprint } from 'keyverify';

import { ACME, GOOD, OTHER, rig, settle, until } from './helpers/rig.js';

test('stats() counts callers who wait for the same answer', async () => {
  const { build, server } = await rig();
  const verifier = build();
  await Promise.all([GOOD, GOOD, GOOD].map(async (key) => await verifier.verify(key)));
  expect(verifier.stats()).toMatchObject({ coalesced: 2, requests: 1, retries: 0, refreshes: 0 });
  expect(server.counts.requests).toBe(1);
});

test('stats() counts refreshes', async () => {
  const { build, clock, server } = await rig();
  const verifier = build();
  await verifier.verify(GOOD);
  await clock.advance(280_000);
  await verifier.verify(GOOD);
  await until(() => server.counts.requests === 2);
  expect(verifier.stats()).toMatchObject({ refreshes: 1, results: { server: 1, cache: 1 } });
});

test('stats() counts requests and retries, control questions among the requests', async () => {
  const { build, clock, server } = await rig();
  const verifier = build();
  const asked = fingerprint(GOOD);
  server.injectFault((request) =>
    request.fingerprint === asked && server.asked(GOOD) === 1 ? { kind: 'status', status: 500 } : undefined,
  );
  expect((await settle(verifier.verify(GOOD), clock, 5_000)).status).toBe('verified');
  await settle(verifier.check(), clock, 5_000);
  const { requests, retries, controls } = verifier.stats();
  expect([requests, retries]).toEqual([server.counts.requests, 1]);
  expect(requests).toBe(2 + controls);
});

test('stats() counts failures by kind, and rejections by reason', async () => {
  const { build } = await rig();
  const verifier = build({ serviceToken: 'wrong' });
  for (let i = 0; i < 3; i++) await verifier.verify(GOOD);
  await verifier.verify('');
  const { failures, reasons, statuses } = verifier.stats();
  expect(failures).toMatchObject({ misconfigured: 3, unreachable: 0 });
  expect(reasons).toEqual({ missing_key: 1 });
  expect(statuses).toMatchObject({ 'failed-closed': 3, rejected: { local: 1 } });
});

test('stats() counts verdicts that made room for others', async () => {
  const keys = Object.fromEntries(['a', 'b', 'c'].map((name) => [`sk-${name}`, ACME]));
  const { build } = await rig(keys);
  const verifier = build({ maxEntries: 2, maxRejectedEntries: 1 });
  for (const key of ['sk-a', 'sk-b']) await verifier.verify(key);
  await verifier.verify('sk-b', { maxAgeMs: 0 });
  expect(verifier.stats().evictions).toBe(0);
  await verifier.verify('sk-c');
  expect(verifier.stats().evictions).toBe(1);
  for (const key of [OTHER, 'sk-unknown']) await verifier.verify(key);
  expect(verifier.stats()).toMatchObject({ evictions: 2, entries: { verified: 2, rejected: 1 } });
});
