import { once } from 'node:events';
import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { KeyVerifier } from 'keyverify';
import type { KeyServerCounts } from 'keyverify/testing';

import { ended, start } from '../lib/child.js';
import { mebibytes, numbers, publish } from '../lib/figures.js';
import { memory } from '../lib/memory.js';
import { watchRequests } from '../lib/requests.js';

const { keys, rate, goodKeys, serverMs } = numbers({ keys: 5_000_000, rate: 20_000, goodKeys: 10_000, serverMs: 40 });

const GOOD_PER_TICK = 10;
/** So many made-up keys come in at once at the most: more would be this harness blocking its own event loop. */
const BURST = 100;
const LULL_MS = 15_000;
const LIMIT = 64;
const RSS_SAMPLES = 20;

const server = start(new URL('../lib/key-server.ts', import.meta.url), [goodKeys, serverMs].map(String));
const [verifyUrl] = (await once(server, 'message')) as [string];
const wire = watchRequests();
const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));

// Failing open, so that a flood that looks like an outage would be seen.
const verifier = new KeyVerifier({ verifyUrl, serviceToken: 'service-token', failOpen: true });
const good = Array.from({ length: goodKeys }, (_, i) => `sk-good-${i}`);
for (let i = 0; i < good.length; i += LIMIT)
  await Promise.all(good.slice(i, i + LIMIT).map(async (key) => await verifier.verify(key)));
if (verifier.stats().entries.verified !== goodKeys) throw new Error('the good keys did not all get through');

interface Phase {
  readonly latency: RecordableHistogram;
  hits: number;
  misses: number;
}
const newPhase = (): Phase => ({ latency: createHistogram(), hits: 0, misses: 0 });
const phases = { before: newPhase(), during: newPhase(), after: newPhase() };
let phase = phases.before;
let turn = 0;

async function useGoodKey(): Promise<void> {
  const key = good[turn++ % good.length];
  const { latency } = phase;
  const startedAt = process.hrtime.bigint();
  const result = await verifier.verify(key);
  latency.record(Math.max(1, Number(process.hrtime.bigint() - startedAt)));
  if (result.valid && result.source === 'cache') phase.hits++;
  else phase.misses++;
}
const traffic = setInterval(() => {
  for (let i = 0; i < GOOD_PER_TICK; i++) void useGoodKey();
}, 1);

const answers: Record<string, number> = {};
let madeUp = 0;
async function useMadeUpKey(): Promise<void> {
  const result = await verifier.verify(`sk-made-up-${madeUp++}`);
  const name =
    result.source.startsWith('fail') && 'failure' in result ? `${result.source} ${result.failure.kind}` : result.source;
  answers[name] = (answers[name] ?? 0) + 1;
}

const loopDelay = monitorEventLoopDelay({ resolution: 5 });
const delays: Record<string, number> = {};
async function lull(name: 'before' | 'after'): Promise<void> {
  phase = phases[name];
  loopDelay.reset();
  loopDelay.enable();
  await sleep(LULL_MS);
  delays[name] = loopDelay.percentile(99) / 1e6;
}

await lull('before');
phase = newPhase();
const atStart = await memory();
phase = phases.during;
loopDelay.reset();
const floodedAt = performance.now();
let inMiddle = atStart;
let measured = false;
/** The memory of the process as the flood goes on: a leak would go on with it. */
const rss: number[] = [];
while (madeUp < keys) {
  if (madeUp >= (keys / RSS_SAMPLES) * (rss.length + 1)) rss.push(mebibytes(process.memoryUsage.rss()));
  await sleep(1);
  const due = Math.min(keys, madeUp + BURST, Math.floor(((performance.now() - floodedAt) / 1000) * rate));
  for (let left = due - madeUp; left > 0; left--) void useMadeUpKey();
  if (!measured && madeUp >= keys / 2) {
    measured = true;
    const paused = phase;
    // A garbage collection on demand is none of the flood's doing.
    phase = newPhase();
    inMiddle = await memory();
    phase = paused;
  }
}
const floodSeconds = (performance.now() - floodedAt) / 1000;
delays['during'] = loopDelay.percentile(99) / 1e6;
while (verifier.stats().waiting > 0) await sleep(10);
phase = newPhase();
const atEnd = await memory();
await lull('after');
clearInterval(traffic);

server.send({ do: 'count' });
const [counts] = (await once(server, 'message')) as [KeyServerCounts];
const stats = verifier.stats();
await verifier.close();
server.send({ do: 'end' });
await ended(server, 5_000);

const micros = (histogram: RecordableHistogram, p: number): number =>
  Number((histogram.percentile(p) / 1000).toFixed(1));
const SHARES = [50, 99, 99.9];
const latency = Object.fromEntries(
  Object.entries(phases).map(([name, { latency: of }]) => [name, SHARES.map((share) => micros(of, share))]),
);
const uses = Object.values(phases).reduce((total, { hits }) => total + hits, 0);
const misses = Object.values(phases).reduce((total, phase) => total + phase.misses, 0);
const opened = Object.entries(answers).filter(([name]) => name.startsWith('fail-open'));

await publish('flood', {
  'made-up keys': madeUp,
  'made-up keys a second': Math.round(madeUp / floodSeconds),
  'good keys in use': goodKeys,
  'uses of good keys': uses + misses,
  'hit rate of good keys': `${((100 * uses) / (uses + misses)).toFixed(4)} %`,
  'answers to made-up keys': answers,
  'memory in MiB (heap after collection)': { start: atStart, middle: inMiddle, end: atEnd },
  'memory of the process in MiB, in twenty parts of the flood': rss,
  'latency of good keys in µs, p50/p99/p99.9': latency,
  'ratio of latencies, during to before': SHARES.map((share) =>
    Number((micros(phases.during.latency, share) / micros(phases.before.latency, share)).toFixed(2)),
  ),
  'event loop delay in ms, p99': delays,
  'most requests in flight': wire.most,
  'the limit': LIMIT,
  'requests the server saw': counts.requests,
  'remembered at the end': stats.entries,
  'unhandled rejections': unhandled.length,
});
const broken = [
  misses > 0 && 'good keys missed',
  opened.length > 0 && 'it failed open',
  wire.most > LIMIT && 'more requests than the limit',
  atEnd.heap > inMiddle.heap * 1.1 && 'the heap grew',
  Math.max(...rss.slice(-5)) > Math.max(...rss.slice(5, 10)) * 1.2 && 'the memory of the process grew',
  unhandled.length > 0 && 'unhandled rejections',
].filter((what) => what !== false);
for (const what of broken) console.error(what);
if (broken.length > 0) process.exitCode = 1;
