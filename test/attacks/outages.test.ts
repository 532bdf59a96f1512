import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

import { Agent, fetch as undiciFetch } from 'undici';
import { describe, expect, test } from 'vitest';

import { isFailedOpen, isVerified, type Dispatcher, type Fetch } from 'keyverify';

import {
  CONTROL,
  SLACK_MS,
  WAYS,
  build,
  during,
  crosswise,
  getsIn,
  letIn,
  madeUp,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';
import { GOOD_PREFIX, type Fault, type LabServer } from './server.js';

const TIMEOUT_MS = 1_000;
const OUTAGE_MS = 2_000;
const RECOVERY_MS = 1_500;

interface Row {
  readonly outage: string;
  readonly begin: (server: LabServer) => unknown;
  readonly end: (server: LabServer) => unknown;
}

const failing = (outage: string, fault: () => Fault): Row => ({
  outage,
  begin: (server) => (server.fault = fault),
  end: (server) => (server.fault = () => undefined),
});

const MIX: readonly Fault[] = [{ status: 503 }, 'reset', { status: 502 }, 'close'];
let turn = 0;

const ROWS: readonly Row[] = [
  {
    outage: 'nobody listens',
    begin: async (server) => await server.stop(),
    end: async (server) => await server.start(),
  },
  failing('reset', () => 'reset'),
  failing('black hole', () => 'hang'),
  failing('503 for all', () => ({ status: 503 })),
  failing('500 for all', () => ({ status: 500 })),
  failing('several kinds in turn', () => MIX[turn++ % MIX.length] ?? 'reset'),
];

/** What says that something answers, whatever is wrong with it. */
const NO_OUTAGE: readonly { readonly answer: string; readonly fault: Fault }[] = [
  ...[429, 401, 404].map((status) => ({ answer: `a ${String(status)}`, fault: { status } })),
  {
    answer: 'a page',
    fault: (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Back soon</p>'),
  },
];

/** Presents made-up keys, and one that was known before, while the server is out; then nobody asks any more. */
async function live(server: LabServer, verifier: ReturnType<typeof build>, { begin, end }: Omit<Row, 'outage'>) {
  const known = newcomer();
  await verifier.verify(known);
  await sleep(350);
  await begin(server);
  const beganAt = performance.now();
  let openedAfter = Infinity;
  const states = new Set<string>();
  const ask = async () => {
    const result = await verifier.verify(madeUp());
    states.add(verifier.stats().breaker);
    if (isFailedOpen(result)) openedAfter = Math.min(openedAfter, performance.now() - beganAt);
    return result;
  };
  const [results, knownResults] = await Promise.all([
    during(OUTAGE_MS, 40, ask),
    during(OUTAGE_MS, 200, async () => await verifier.verify(known)),
  ]);
  const opened = states.has('open') || states.has('half-open');

  await end(server);
  const endedAt = performance.now();
  while (verifier.stats().breaker !== 'closed' && performance.now() - endedAt < 2 * RECOVERY_MS) await sleep(10);
  const recoveredAfter = performance.now() - endedAt;
  const first = await verifier.verify(newcomer());
  return { results, knownResults, opened, openedAfter, recoveredAfter, first };
}

function check(failOpen: boolean, lived: Awaited<ReturnType<typeof live>>): void {
  expect(lived.opened).toBe(true);
  expect(lived.recoveredAfter).toBeLessThan(RECOVERY_MS + SLACK_MS);
  // The first newcomer after a quiet time, at the first try.
  expect(isVerified(lived.first)).toBe(true);
  expect(lived.knownResults.filter((result) => !isVerified(result))).toEqual([]);
  if (failOpen) expect(lived.openedAfter).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  else expect(letIn(lived.results)).toEqual({});
}

// Of a short TTL, so that the known key lives on stale.
const OPTIONS = { timeoutMs: TIMEOUT_MS, cacheTtlMs: 300, refreshAheadRatio: 1 };

describe.concurrent('a real outage opens, and ends without anybody asking', () => {
  test.for(crosswise(ROWS))('$outage; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS });
    await settleIn(verifier);
    check(row.failOpen, await live(server, verifier, row));
  });

  test.for(crosswise(ROWS))('$outage, twice; $way', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true });
    await settleIn(verifier);
    check(true, await live(server, verifier, row));
    // The control question that found out that it is over was asked just now, and there is one a second.
    await sleep(1_250);
    check(true, await live(server, verifier, row));
  });

  test.for(crosswise(ROWS))('$outage, twice, met by few callers; $way', async (row, context) => {
    const server = await startServer(context);
    // Nobody but callers finds out that it is over.
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true, breaker: false });
    await settleIn(verifier);
    for (let time = 0; time < 2; time++) {
      // One control question has timed out by then, and two have told that it is over.
      await sleep(3_500);
      await row.begin(server);
      const results = await during(OUTAGE_MS, 500, async () => await verifier.verify(madeUp()));
      expect(results.filter((result) => !isFailedOpen(result))).toEqual([]);
      await row.end(server);
      expect(isVerified(await verifier.verify(newcomer()))).toBe(true);
    }
  });

  test.for(crosswise(ROWS.filter(({ outage }) => outage !== 'nobody listens')))(
    '$outage, while what was asked before is still answered; $way',
    async (row, context) => {
      const server = await startServer(context);
      const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true });
      await settleIn(verifier);
      server.fault = () => ({ slowMs: 400 });
      const before = during(2_000, 50, async () => {
        const result = await verifier.verify(newcomer());
        return { result, at: performance.now() };
      });
      await sleep(2_100);
      const beganAt = performance.now();
      await row.begin(server);
      const results = await during(OUTAGE_MS, 50, async () => await verifier.verify(newcomer()));
      // Nobody can tell while some are answered.
      expect(results.slice(-5).filter((result) => !isFailedOpen(result))).toEqual([]);
      const answered = (await before).filter(({ result }) => isVerified(result));
      expect(answered.filter(({ at }) => at > beganAt).length).toBeGreaterThan(0);
    },
  );

  test.for(crosswise(ROWS))('$outage, met by 64 callers at once; $way', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true });
    await settleIn(verifier);
    // The first answers connected, while eleven other verifiers began: they make the server seem slow, and 64 a backlog.
    for (let count = 0; count < 8; count++) await verifier.verify(newcomer());
    // The control question of the beginning was asked just now, and there is one a second.
    await sleep(1_250);
    await row.begin(server);
    const beganAt = performance.now();
    const results = await Promise.all(Array.from({ length: 64 }, async () => await verifier.verify(madeUp())));
    expect(performance.now() - beganAt).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    expect(results.filter((result) => !isFailedOpen(result))).toEqual([]);
  });

  test.for(crosswise(ROWS))('$outage, while a 429 pauses us for 30 s; $way', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true });
    await settleIn(verifier);
    server.fault = () => ({ status: 429, headers: { 'retry-after': '30' } });
    expect(letIn([await verifier.verify(madeUp())])).toEqual({});
    server.fault = () => undefined;
    const lived = await live(server, verifier, row);
    expect([lived.opened, lived.openedAfter < 2 * TIMEOUT_MS]).toEqual([true, true]);
    // Once it is known, nobody is refused for the pause.
    expect(lived.results.slice(-5).filter((result) => !isFailedOpen(result))).toEqual([]);
    expect(lived.knownResults.filter((result) => !isVerified(result))).toEqual([]);
  });

  test.for(crosswise(NO_OUTAGE))('ends where unknown keys are answered by $answer; $way', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, ...OPTIONS, failOpen: true });
    await settleIn(verifier);
    server.fault = () => ({ status: 503 });
    const duringOutage = await during(OUTAGE_MS, 40, async () => await verifier.verify(madeUp()));
    expect(duringOutage.slice(-1).map((result) => isFailedOpen(result))).toEqual([true]);
    server.fault = (key) => (key.startsWith(GOOD_PREFIX) ? undefined : row.fault);
    await sleep(RECOVERY_MS + SLACK_MS);
    const [after, newcomers] = await Promise.all([
      during(OUTAGE_MS, 40, async () => await verifier.verify(madeUp())),
      during(OUTAGE_MS, 500, async () => await getsIn(verifier, newcomer())),
    ]);
    expect(letIn(after)).toEqual({});
    expect(newcomers).toEqual(newcomers.map(() => true));
  });

  test.for(WAYS)('DNS is gone; $way, failOpen: $failOpen', async ({ way, failOpen }, context) => {
    const server = await startServer(context);
    let gone = false;
    const resolve: LookupFunction = (host, options, done) => {
      if (!gone) lookup('127.0.0.1', options, done);
      else
        done(
          Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
          '',
        );
    };
    const dispatcher = new Agent({ connect: { lookup: resolve } });
    const fetch = async (url: string, init: object) => await undiciFetch(url, { ...init, dispatcher });
    const verifier = build(context, server.url.replace('127.0.0.1', 'keys.test'), {
      ...(way === 'fetch' ? { fetch: fetch as unknown as Fetch } : { dispatcher: dispatcher satisfies Dispatcher }),
      ...OPTIONS,
      failOpen,
      allowInsecureHttp: true,
    });
    await settleIn(verifier);
    const begin = (): void => {
      gone = true;
      server.disconnect();
    };
    const end = (): boolean => (gone = false);
    check(failOpen, await live(server, verifier, { begin, end }));
  });
});

/** One caller's own keys, of which one is slow and one hangs, on a route that wants no cached verdict. */
async function looksCongested(verifier: ReturnType<typeof build>, slow: string, hanging: string): Promise<void> {
  const ask = async (key: string) => await verifier.verify(key, { maxAgeMs: 0 });
  await Promise.all([ask(slow), ask(hanging), ask(hanging), ask(hanging)]);
}

describe.concurrent('a real outage opens, and recovers, whatever a caller did before', () => {
  test.for(crosswise(ROWS.slice(1)))('a few keys looked like congestion; $outage, $way', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { ...row.options, timeoutMs: TIMEOUT_MS, failOpen: true });
    const [slow, hanging] = [newcomer(), newcomer()];
    for (const key of [slow, hanging]) await verifier.verify(key);
    await settleIn(verifier);
    server.fault = (key) => (key === slow ? { slowMs: 400 } : key === hanging ? 'hang' : undefined);
    const others = during(4_000, 20, async () => await verifier.verify(newcomer()));
    await looksCongested(verifier, slow, hanging);
    expect((await others).filter((result) => !isVerified(result))).toEqual([]);
    await row.begin(server);
    const results = await during(2 * TIMEOUT_MS, 40, async () => await verifier.verify(madeUp()));
    expect(results.some(isFailedOpen)).toBe(true);
  });

  test.for(crosswise([{}]))(
    'a firewall answers a key with a long Retry-After meanwhile; $way',
    async (row, context) => {
      const server = await startServer(context);
      const verifier = build(context, server.url, { ...row.options, timeoutMs: TIMEOUT_MS, failOpen: true });
      const own = newcomer();
      await verifier.verify(own);
      await settleIn(verifier);
      server.fault = (key) => ({ status: 503, headers: key === own ? { 'retry-after': '30' } : {} });
      await during(OUTAGE_MS, 20, async () => await verifier.verify(own, { maxAgeMs: 0 }));
      expect(verifier.stats().breaker).not.toBe('closed');
      server.fault = () => undefined;
      const endedAt = performance.now();
      while (verifier.stats().breaker !== 'closed' && performance.now() - endedAt < 2 * RECOVERY_MS) await sleep(10);
      expect(performance.now() - endedAt).toBeLessThan(RECOVERY_MS + SLACK_MS);
    },
  );
});

/** What happened before the outage must not keep it from being seen. */
const BEFORE: readonly { readonly before: string; readonly fault: (key: string) => Fault | undefined }[] = [
  {
    before: 'the first control question had bad luck',
    fault: (() => {
      let failed = 0;
      return (key: string) => (key.startsWith(CONTROL) && failed++ === 0 ? { status: 503 } : undefined);
    })(),
  },
  { before: 'some keys took long', fault: (key) => (key.startsWith('sk-slow-') ? { slowMs: 600 } : undefined) },
];

describe.concurrent('a real outage opens', () => {
  test.for(crosswise([{}]))(
    'after three control questions, although a firewall answers the keys of an attacker meanwhile; $way',
    async ({ options }, context) => {
      const server = await startServer(context);
      const verifier = build(context, server.url, { ...options, timeoutMs: TIMEOUT_MS, failOpen: true });
      await settleIn(verifier);
      server.fault = (key) => (key.startsWith('sk-made-up-') ? { status: 503 } : 'hang');
      const attack = during(4 * (TIMEOUT_MS + 1_000), 50, async () => await verifier.verify(madeUp()));
      const results = await during(4 * (TIMEOUT_MS + 1_000), 200, async () => await verifier.verify(newcomer()));
      await attack;
      expect(results.some(isFailedOpen)).toBe(true);
    },
  );

  test.for(BEFORE)('although $before', async ({ fault }, context) => {
    const server = await startServer(context);
    server.fault = fault;
    const verifier = build(context, server.url, { timeoutMs: TIMEOUT_MS, failOpen: true });
    await settleIn(verifier);
    await Promise.all(Array.from({ length: 20 }, async () => await verifier.verify(`sk-slow-${randomUUID()}`)));
    // Longer than the first pause before another calibration.
    await sleep(1_100);
    // So many answers that a single failure makes no flaky server any more.
    for (let i = 0; i < 50; i++) await verifier.verify(newcomer());
    await sleep(150);
    server.fault = () => ({ status: 503 });
    const results = await during(TIMEOUT_MS + 500, 50, async () => await verifier.verify(madeUp()));
    expect(results.some(isFailedOpen)).toBe(true);
    expect(verifier.stats().breaker).not.toBe('closed');
  });
});
