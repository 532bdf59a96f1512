import { describe, expect, test } from 'vitest';

import { crosswise, everyWay, getsIn, lab, madeUp, newcomer, sleep } from './lab.js';

const good = (headers: Readonly<Record<string, string>>) => ({
  body: { valid: true, client: 'acme', tenant: 'cust-A' },
  headers,
});

describe.concurrent('a verdict that must not be served stale', () => {
  const HEADERS = [
    { header: 'no-cache' },
    { header: 'No-Cache' },
    { header: 'private, no-cache, max-age=1' },
    { header: 'max-age=1, must-revalidate' },
    { header: 'Must-Revalidate , max-age="1"' },
    { header: 'no-store' },
  ];
  test.for(crosswise(HEADERS))('Cache-Control: $header; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.verdicts.set(key, good({ 'cache-control': row.header }));
    expect((await verifier.verify(key)).source).toBe('server');
    await sleep(1_050);
    server.fault = () => ({ status: 503 });
    const sources = [];
    for (let i = 0; i < 6; i++)
      sources.push((await verifier.verify(key)).source, (await verifier.verify(madeUp())).source);
    expect(sources).not.toContain('stale');
    expect(sources).not.toContain('cache');
  });

  test.for(everyWay([{}]))('as opposed to max-age alone; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.verdicts.set(key, good({ 'cache-control': 'max-age=1' }));
    expect((await verifier.verify(key)).source).toBe('server');
    await sleep(1_050);
    server.fault = () => ({ status: 503 });
    for (let i = 0; i < 6; i++) expect(await verifier.verify(key)).toMatchObject({ client: 'acme', source: 'stale' });
  });
});

describe.concurrent('Age counts towards max-age', () => {
  const ROWS = [
    { age: '60', again: 'server' },
    { age: '3600', again: 'server' },
    { age: '10', again: 'cache' },
    { age: '0', again: 'cache' },
  ];
  test.for(crosswise(ROWS))('Age: $age of 60; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.verdicts.set(key, good({ 'cache-control': 'max-age=60', age: row.age }));
    expect((await verifier.verify(key)).source).toBe('server');
    expect((await verifier.verify(key)).source).toBe(row.again);
  });

  test.for(everyWay([{}]))('and the rest is the TTL; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.verdicts.set(key, good({ 'cache-control': 'max-age=60', age: '59' }));
    expect((await verifier.verify(key)).source).toBe('server');
    await sleep(1_050);
    expect((await verifier.verify(key)).source).toBe('server');
  });
});

describe.concurrent('a rejection with no-store', () => {
  test.for(everyWay([{}]))('outlives an older "valid" in flight; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.fault = (asked) => (asked === key ? { slowMs: 300 } : undefined);
    const older = verifier.verify(key);
    while (!server.asked.some((request) => request.key === key)) await sleep(5);
    server.revoke(key, { 'cache-control': 'no-store' });
    server.fault = () => undefined;
    expect(await verifier.verify(key, { maxAgeMs: 0 })).toMatchObject({ valid: false, reason: 'revoked' });

    await older;
    expect(verifier.peek(key)?.valid).not.toBe(true);
    expect((await verifier.verify(key)).valid).toBe(false);
    server.fault = () => ({ status: 503 });
    for (let i = 0; i < 8; i++) {
      await verifier.verify(madeUp());
      expect((await verifier.verify(key)).valid).toBe(false);
    }
  });

  test.for(everyWay([{}]))('is asked about again; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const key = newcomer();
    server.revoke(key, { 'cache-control': 'no-store' });
    expect((await verifier.verify(key)).valid).toBe(false);
    server.verdicts.delete(key);
    expect(await getsIn(verifier, key)).toBe(true);
  });
});
