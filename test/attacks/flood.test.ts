import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { describe, expect, test, type TestContext } from 'vitest';

import {
  REPELLED,
  besiege,
  build,
  crosswise,
  during,
  everyWay,
  getsIn,
  lab,
  letIn,
  madeUp,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';
import type { Fault, LabServer } from './server.js';

const WORK_MS = 40;
const SLOTS = 8;

/** Beyond so many requests at once the server turns the others away. */
const shedding = (server: LabServer, fault: Fault) => (): Fault => (server.busy > SLOTS ? fault : { slowMs: WORK_MS });

/** One request at a time, in order; those that were given up meanwhile cost nothing, unless it doesn't notice. */
function oneWorker(ms: number, notices = true): () => Fault {
  let turn = Promise.resolve();
  return () => (answer, response) => {
    turn = turn.then(async () => {
      if (notices && response.destroyed) return;
      await sleep(ms);
      answer();
    });
  };
}

/** Works on all requests at once, for so long on each if it were alone: none of a burst is answered before all of it is. */
function sharedWorker(ms: number, notices = true): () => Fault {
  const jobs = new Set<{ leftMs: number; readonly answer: () => void; readonly response: ServerResponse }>();
  const work = async (): Promise<void> => {
    for (let from = performance.now(); jobs.size > 0;) {
      await sleep(5);
      const now = performance.now();
      const shareMs = (now - from) / jobs.size;
      from = now;
      for (const job of jobs) {
        job.leftMs -= shareMs;
        if (job.leftMs > 0 && !(notices && job.response.destroyed)) continue;
        jobs.delete(job);
        job.answer();
      }
    }
  };
  return () => (answer, response) => {
    jobs.add({ leftMs: ms, answer, response });
    if (jobs.size === 1) void work();
  };
}

const SERVERS: readonly { readonly sheds: string; readonly flooded: (server: LabServer) => () => Fault }[] = [
  { sheds: 'answers 503', flooded: (server) => shedding(server, { status: 503 }) },
  {
    sheds: 'answers 503 with Retry-After',
    flooded: (server) => shedding(server, { status: 503, headers: { 'retry-after': '20' } }),
  },
  { sheds: 'answers 429', flooded: (server) => shedding(server, { status: 429 }) },
  { sheds: 'resets', flooded: (server) => shedding(server, 'reset') },
  { sheds: 'hangs up', flooded: (server) => shedding(server, 'close') },
  { sheds: 'has one slow worker', flooded: () => oneWorker(20) },
];

const BURST = 64;

describe.concurrent('64 well-formed made-up keys at once, and 20 a second after that', () => {
  test.for(crosswise(SERVERS))('a server that $sheds; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = row.flooded(server);
    const siege = { ms: 1_500, key: madeUp, everyMs: 50, burst: BURST };
    expect(await besiege(verifier, siege)).toEqual(REPELLED);
  });

  test.for(everyWay([{}]))('a server that refuses connections; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    // One request a connection, so that the end of one makes room for another.
    server.headers = { connection: 'close' };
    const verifier = build(context, await refusing(context, server), row.options);
    await settleIn(verifier);
    server.fault = () => ({ slowMs: WORK_MS });
    const siege = { ms: 1_500, key: madeUp, everyMs: 50, burst: BURST };
    expect(await besiege(verifier, siege)).toEqual(REPELLED);
  });
});

describe.concurrent('more made-up keys than one worker answers in time', () => {
  test.for(
    crosswise(
      [50, 100, 250].flatMap((workMs) => [
        { workMs, notices: true },
        { workMs, notices: false },
      ]),
    ),
  )('$workMs ms each, notices who gave up: $notices; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = oneWorker(row.workMs, row.notices);
    // No newcomer can be promised anything: most have to be turned away.
    const siege = { ms: 6_000, key: madeUp, everyMs: 20, burst: BURST, newcomers: false };
    expect(await besiege(verifier, siege)).toEqual(REPELLED);
  });
});

describe.concurrent('more made-up keys at once than a server answers in time, all of them late', () => {
  const BUSY_MS = 3_000;

  test.for(
    crosswise(
      [
        { workMs: 50, burst: BURST, maxConcurrency: 64 },
        { workMs: 100, burst: BURST, maxConcurrency: 64 },
        { workMs: 100, burst: 14, maxConcurrency: 512 },
      ].flatMap((load) => [
        { ...load, notices: true },
        { ...load, notices: false },
      ]),
    ),
  )('$burst of $workMs ms each, notices who gave up: $notices; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const { burst, maxConcurrency } = row;
    const verifier = build(context, server.url, { ...row.options, maxConcurrency });
    server.fault = sharedWorker(row.workMs, row.notices);
    await settleIn(verifier);
    const breaker = during(2 * BUSY_MS, 20, () => verifier.stats().breaker);
    const crowd = during(2 * BUSY_MS, 500, async () => await verifier.verify(madeUp()));
    const bursts = during(BUSY_MS, BUSY_MS / 2, async () => {
      return await Promise.all(Array.from({ length: burst }, async () => await verifier.verify(madeUp())));
    });
    expect(letIn([...(await bursts).flat(), ...(await crowd)])).toEqual({});
    expect(new Set(await breaker)).toEqual(new Set(['closed']));
  });

  test.for(crosswise([{}]))('at a fresh process; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, row.options);
    server.fault = sharedWorker(50);
    const burst = Array.from({ length: BURST }, async () => await verifier.verify(madeUp()));
    expect(letIn(await Promise.all(burst))).toEqual({});
  });
});

describe.concurrent('one good key that is asked about each time, more often than one worker answers in time', () => {
  test.for(crosswise([{ notices: true }, { notices: false }]))(
    'the server notices who gave up: $notices; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, row.options);
      const key = newcomer();
      await verifier.verify(key);
      server.fault = oneWorker(50, row.notices);
      const flood = during(6_000, 10, async () => await verifier.verify(key, { maxAgeMs: 0 }));
      expect(await besiege(verifier, { ms: 6_000, key: madeUp, everyMs: 250, newcomers: false })).toEqual(REPELLED);
      expect(Object.keys(letIn(await flood))).toEqual(['server']);
    },
  );
});

describe.concurrent('made-up keys that provoke a 429 with Retry-After: 30', () => {
  test.for(everyWay([{}]))('once; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = () => ({ status: 429, headers: { 'retry-after': '30' } });
    expect(letIn([await verifier.verify(madeUp())])).toEqual({});
    server.fault = () => undefined;
    expect(await getsIn(verifier, newcomer())).toBe(true);
  });

  test.for(everyWay([{}]))('again and again; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = (key) =>
      key.startsWith('sk-made-up-') ? { status: 429, headers: { 'retry-after': '30' } } : undefined;
    const siege = { ms: 1_500, key: madeUp, everyMs: 100, burst: 8 };
    expect(await besiege(verifier, siege)).toEqual(REPELLED);
  });

  const provoke = (key: string): Fault | undefined =>
    key.startsWith('sk-provoke-') ? { status: 429, headers: { 'retry-after': '30' } } : undefined;
  const PROVOCATION = { key: () => `sk-provoke-${madeUp()}`, everyMs: 250, others: false };

  test.for(everyWay([{}]))(
    'beside 100 other unknown keys a second; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, row.options);
      server.fault = provoke;
      const crowd = during(3_000, 10, async () => await verifier.verify(madeUp()));
      expect(await besiege(verifier, { ...PROVOCATION, ms: 3_000 })).toEqual(REPELLED);
      expect(letIn(await crowd)).toEqual({});
    },
  );

  test.for(everyWay([{}]))(
    'again and again, for longer than known keys last; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, { ...row.options, cacheTtlMs: 2_000 });
      const known = Array.from({ length: 100 }, newcomer);
      expect(letIn(await Promise.all(known.map(async (key) => await verifier.verify(key))))).toEqual({ server: 100 });
      server.fault = provoke;
      let next = 0;
      const regular = async () => await verifier.verify(known[next++ % known.length]);
      const [, results] = await Promise.all([
        besiege(verifier, { ...PROVOCATION, ms: 5_000, newcomers: false }),
        during(5_000, 5, regular),
      ]);
      expect(results.filter(({ valid, source }) => !valid || source === 'fail-open')).toEqual([]);
    },
  );
});

/** Stands in front of the server and doesn't listen while so many connections are open, as if the backlog were full. */
async function refusing({ onTestFinished }: TestContext, server: LabServer): Promise<string> {
  const clients = new Set<Socket>();
  const front = createServer((client) => {
    clients.add(client);
    if (clients.size >= SLOTS && front.listening) front.close();
    const upstream = connect(server.port, '127.0.0.1');
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.once('close', () => {
      clients.delete(client);
      upstream.destroy();
      if (clients.size < SLOTS && !front.listening && !over) front.listen(port, '127.0.0.1');
    });
  });
  let over = false;
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const { port } = front.address() as AddressInfo;
  onTestFinished(() => {
    over = true;
    front.close();
    for (const client of clients) client.destroy();
  });
  return server.url.replace(String(server.port), String(port));
}
