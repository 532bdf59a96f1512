import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { KeyVerifier } from 'keyverify';
import type { Fault } from 'keyverify/testing';

import { ended, start } from '../lib/child.js';
import { numbers, publish } from '../lib/figures.js';
import { memoryUsage } from '../lib/memory.js';
import { Random } from '../lib/random.js';
import type { Command } from '../lib/key-server.js';

const { seconds, seed } = numbers({ seconds: 600, seed: 1 });

const KEYS = 5_000;
const CALLERS = 64;
/** Calls in a row before a caller yields to the others. Most are hits, which never wait. */
const CALLS_IN_A_ROW = 50;
const ROTATION_MS = 20;
/** Down for 4 s in every 20 s. */
const OUTAGE_EVERY_MS = 20_000;
const OUTAGE_MS = 4_000;
const OUTAGES: readonly (Fault | 'stop')[] = [
  'stop',
  { kind: 'status', status: 503 },
  { kind: 'hang' },
  { kind: 'reset-before-headers' },
];

const random = new Random(seed);
const server = start(new URL('../lib/key-server.ts', import.meta.url), [KEYS, 1].map(String));
const [verifyUrl] = (await once(server, 'message')) as [string];
const tell = (command: Command): boolean => server.send(command);

const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));
const verifier = new KeyVerifier({
  verifyUrl,
  serviceToken: 'service-token',
  cacheTtlMs: 5_000,
  staleIfErrorMs: 10_000,
  rejectedTtlMs: 1_000,
  timeoutMs: 500,
  maxEntries: 4_000,
  maxRejectedEntries: 2_000,
});

let running = true;
const results: Record<string, number> = {};
let unknownKeys = 0;
async function caller(): Promise<void> {
  while (running) {
    for (let i = 0; i < CALLS_IN_A_ROW; i++) {
      const key = random.chance(0.02) ? `sk-unknown-${unknownKeys++}` : `sk-good-${random.between(0, KEYS)}`;
      const { source } = await verifier.verify(key);
      results[source] = (results[source] ?? 0) + 1;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function rotate(): Promise<void> {
  while (running) {
    const key = `sk-good-${random.between(0, KEYS)}`;
    const revoked = random.chance(0.3);
    tell({ do: revoked ? 'revoke' : 'issue', key });
    if (revoked) verifier.invalidate({ key });
    await sleep(ROTATION_MS);
  }
}

let outages = 0;
async function causeOutages(): Promise<void> {
  while (running) {
    await sleep(OUTAGE_EVERY_MS - OUTAGE_MS);
    const outage = random.pick(OUTAGES);
    outages++;
    tell(outage === 'stop' ? { do: 'stop' } : { do: 'injectFault', fault: outage });
    await sleep(OUTAGE_MS);
    tell({ do: outage === 'stop' ? 'start' : 'clearFaults' });
  }
}

interface Sample {
  readonly second: number;
  readonly rss: number;
  readonly heap: number;
  readonly sockets: number;
  readonly timers: number;
  readonly handles: number;
}

/** The resources that keep this process alive. */
function resources(): Omit<Sample, 'second' | 'rss' | 'heap'> {
  const names = process.getActiveResourcesInfo();
  const count = (pattern: RegExp): number => names.filter((name) => pattern.test(name)).length;
  return { sockets: count(/TCP/), timers: count(/Timeout/), handles: names.length };
}

const before = resources();
const work = [...Array.from({ length: CALLERS }, caller), rotate(), causeOutages()];
const startedAt = performance.now();
const elapsed = (): number => (performance.now() - startedAt) / 1000;
const samples: Sample[] = [];
const everySeconds = OUTAGE_EVERY_MS / 1000;
// Always at the same point of the cycle, well after an outage: during one, thousands of failures are held for a moment.
for (let due = everySeconds - 8; due < seconds; due += everySeconds) {
  await sleep((due - elapsed()) * 1000);
  const { rss, heap } = await memoryUsage();
  const sample = { second: Math.round(elapsed()), rss, heap, ...resources() };
  samples.push(sample);
  console.log(JSON.stringify(sample));
}
await sleep((seconds - elapsed()) * 1000);
running = false;
await Promise.all(work);
const took = elapsed();
await verifier.close();
await sleep(50);
const after = resources();
tell({ do: 'end' });
await ended(server, 5_000);

const verified = Object.values(results).reduce((a, b) => a + b, 0);
// The heap varies with the contents of the caches, so a single sample says little: compares the median of the first third
// (after a minute) with that of the last.
const settled = samples.filter(({ second }) => second > 60).map(({ heap }) => heap);
const third = Math.ceil(settled.length / 3);
const median = (heaps: number[]): number => heaps.toSorted((a, b) => a - b)[Math.floor(heaps.length / 2)] ?? NaN;
const early = median(settled.slice(0, third));
const late = median(settled.slice(-third));
const growth = (late / early - 1) * 100;
const most = (of: (sample: Sample) => number): number => Math.max(...samples.map(of));
await publish('soak', {
  seconds: Math.round(took),
  'calls of `verify()`': verified,
  'calls per second': Math.round(verified / took),
  outages,
  'made-up keys': unknownKeys,
  'median heap in MiB, first third after a minute, and last third': [early, late],
  'growth of the heap in %': Number(growth.toFixed(1)),
  'most sockets, and most timers': [most(({ sockets }) => sockets), most(({ timers }) => timers)],
  'unhandled rejections': unhandled.length,
  Results: results,
  'Samples in MiB, heap after a garbage collection': samples.filter((_, i) => i % 3 === 0),
  'Resources of the process': { before, 'after `close()`': after },
});
const broken = [
  !(growth <= 5) && seconds > 180 && 'the heap grew',
  most(({ sockets }) => sockets) > 2 * CALLERS && 'sockets accumulate',
  (after.sockets > before.sockets || after.timers > before.timers) && 'sockets or timers are left after close()',
  unhandled.length > 0 && 'unhandled rejections',
].filter((what) => what !== false);
for (const what of broken) console.error(what);
if (broken.length > 0) process.exitCode = 1;
