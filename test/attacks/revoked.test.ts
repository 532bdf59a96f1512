import { randomUUID } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { build, during, crosswise, lab, letIn, madeUp, newcomer, settleIn, sleep, startServer } from './lab.js';
import { GOOD_PREFIX, type Fault } from './server.js';

/** Of one second, so that `cacheTtlMs` + 1 s is the end of one more TTL, too. */
const TTL_MS = 1_000;
const OPTIONS = { cacheTtlMs: TTL_MS, staleIfErrorMs: 3_600_000, refreshAheadRatio: 1 };

const poison = (): string => `sk-poison-${randomUUID()}`;
const LIMITED: Fault = { status: 429, headers: { 'retry-after': '30' } };

interface Row {
  readonly attack: string;
  readonly key: () => string;
  readonly fault: Fault;
  /** Which questions the server fails to answer. */
  readonly hits: RegExp;
}

const ROWS: readonly Row[] = [
  { attack: 'made-up keys provoke a 429', key: madeUp, fault: LIMITED, hits: /^sk-made-up-/ },
  { attack: 'made-up keys provoke a 429 for all', key: madeUp, fault: LIMITED, hits: /^/ },
  {
    attack: 'made-up keys provoke a 503 with Retry-After',
    key: madeUp,
    fault: { status: 503, headers: { 'retry-after': '20' } },
    hits: /^sk-made-up-/,
  },
  { attack: 'poison keys are answered 500', key: poison, fault: { status: 500 }, hits: /^sk-poison-/ },
  { attack: 'poison keys are reset', key: poison, fault: 'reset', hits: /^sk-poison-/ },
  { attack: 'poison keys are dropped', key: poison, fault: 'hang', hits: /^sk-poison-/ },
];

/** How the one with the revoked key times the attempts. */
const ALL_THE_TIME = { timing: 'asks all the time', restMs: 0 };
const ONCE_OVER = { timing: 'asks once its time is over', restMs: TTL_MS };

const TABLE = crosswise(
  ROWS.flatMap((row, i) =>
    // In turn, so that each meets every transport with `failOpen` on and off.
    (i % 2 === 0 ? [ALL_THE_TIME, ONCE_OVER] : [ONCE_OVER, ALL_THE_TIME]).map((timing) => ({ ...row, ...timing })),
  ),
);

describe.concurrent('a key that is revoked under attack is refused within its TTL and 1 s', () => {
  test.for(TABLE)('$attack, and it $timing; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, ...OPTIONS });
    const victim = newcomer();
    expect(letIn([await verifier.verify(victim)])).toEqual({ server: 1 });
    server.revoke(victim);
    server.fault = (key) => (row.hits.test(key) ? row.fault : undefined);
    const end = performance.now() + TTL_MS + 1_000;

    const attack = during(TTL_MS + 1_600, 25, async () => await verifier.verify(row.key()));
    await sleep(row.restMs);
    await during(end - performance.now(), 50, async () => await verifier.verify(victim));
    const late = await during(500, 50, async () => await verifier.verify(victim));

    expect(letIn(late)).toEqual({});
    expect(letIn(await attack)).toEqual({});
  });
});

/** What a firewall may answer for one key, while the server answers all others. */
const PAGES: readonly { readonly page: string; readonly fault: Fault }[] = [
  { page: '403', fault: { status: 403 } },
  { page: '404', fault: { status: 404 } },
  { page: 'a redirect', fault: { status: 302, headers: { location: '/blocked' } } },
  { page: '200 as a page', fault: { status: 200, headers: { 'content-type': 'text/html' } } },
  { page: '204', fault: { status: 204 } },
];

describe.concurrent('a revoked key for which a firewall answers', () => {
  test.for(crosswise(PAGES))('$page is refused after one more TTL; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, ...OPTIONS });
    const victim = newcomer();
    expect(letIn([await verifier.verify(victim)])).toEqual({ server: 1 });
    server.revoke(victim);
    server.fault = (key) => (key === victim ? row.fault : undefined);

    // One who is answered once a TTL is enough.
    const others = during(2 * TTL_MS + 600, 250, async () => await verifier.verify(newcomer()));
    await during(2 * TTL_MS, 100, async () => await verifier.verify(victim));
    const late = await during(500, 50, async () => await verifier.verify(victim));
    expect(letIn(late)).toEqual({});
    await others;
  });

  test.for(crosswise([{}]))(
    '403 is refused after one more TTL, however seldom others are answered; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, { ...row.options, ...OPTIONS });
      const victim = newcomer();
      expect(letIn([await verifier.verify(victim)])).toEqual({ server: 1 });
      server.revoke(victim);
      server.fault = (key) => (key === victim ? { status: 403 } : undefined);

      // Less often than once a TTL. One who is answered may have been asked about before the failures began.
      const others = during(5_500, 1_800, async () => await verifier.verify(newcomer()));
      await during(4_200, 100, async () => await verifier.verify(victim));
      const late = await during(1_200, 50, async () => await verifier.verify(victim));
      expect(letIn(late)).toEqual({});
      await others;
    },
  );

  test.for(crosswise([{}]))(
    '500, as to each key that it does not know, is refused after one more TTL; $way, failOpen: $failOpen',
    async (row, context) => {
      const server = await startServer(context);
      const deleted = new Set<string>();
      server.fault = (key) => (key.startsWith(GOOD_PREFIX) && !deleted.has(key) ? undefined : { status: 500 });
      const verifier = build(context, server.url, { ...row.options, ...OPTIONS });
      await settleIn(verifier);
      const victim = newcomer();
      expect(letIn([await verifier.verify(victim)])).toEqual({ server: 1 });
      deleted.add(victim);

      const others = during(2 * TTL_MS + 600, 100, async () => [
        await verifier.verify(madeUp()),
        await verifier.verify(newcomer()),
      ]);
      await during(2 * TTL_MS, 100, async () => await verifier.verify(victim));
      const late = await during(500, 50, async () => await verifier.verify(victim));
      expect(letIn(late)).toEqual({});
      await others;
    },
  );

  test('is still served in an outage that has just begun, however old its verdict is', async (context) => {
    const { server, verifier } = await lab(context, OPTIONS);
    const [rare, other] = [newcomer(), newcomer()];
    await verifier.verify(rare);
    await sleep(2 * TTL_MS + 100);
    await verifier.verify(other);
    server.fault = () => ({ status: 503 });
    expect(await verifier.verify(rare)).toMatchObject({ valid: true, source: 'stale' });
  });

  test('keeps working if all keys are answered so, since our token is wrong', async (context) => {
    const { server, verifier } = await lab(context, OPTIONS);
    const known = newcomer();
    await verifier.verify(known);
    server.fault = () => ({ status: 403 });
    await sleep(2 * TTL_MS + 100);
    expect(await verifier.verify(known)).toMatchObject({ valid: true, source: 'stale' });
  });
});
