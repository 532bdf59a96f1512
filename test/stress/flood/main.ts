import { once } from 'node:events';
import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { KeyVerifier } from 'keyverify';
import type { KeyServerCounts } from 'keyverify/testing';

import { ended, start } from '../lib/child.js';
import { mebibytes, numbers, publish } from '../lib/figures.js';
import { memoryUsage } from '../lib/memory.js';
import { watchRequests } from '../lib/requests.js';

const { keys, rate, goodKeys, serverMs } = numbers({ keys: 5_000_000, rate: 20_000, goodKeys: 10_000, serverMs: 40 });

const GOOD_PER_TICK = 10;
/** The most unknown keys in one tick. More would be the harness blocking its own event loop. */
const BURST = 100;
const LULL_MS = 15_000;
const LIMIT = 64;
const RSS_SAMPLES = 20;

const server = start(new URL('../lib/key-server.ts', import.meta.url), [goodKeys, serverMs].map(String));
const [verifyUrl] = (await once(server, 'message')) as [string];
const wire = watchRequests();
const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));

// Fails open if it takes the flood for an outage.
const verifier = new KeyVerifier({ verifyUrl, serviceToken: 'service-token', failOpen: true });
const good = Array.from({ length: goodKeys }, (_, i) => `sk-good-${i}`);
for (let i = 0; i < good.length; i += LIMIT)
  await Promise.all(good.slice(i, i + LIMIT).map(async (key) => await verifier.verify(key)));
if (verifier.stats().entries.verified !== goodKeys) throw new Error('not every good key was verified');

interface Phase {
  readonly latency: RecordableHistogram;
  hits: number;
  misses: number;
}
const newPhase = (): Phase => ({ latency: createHistogram(), hits: 0, misses: 0 });
const phases = { before: newPhase(), during: newPhase(), after: newPhase() };
let phase = phases.before;
let uses = 0;

async function useGoodKey(): Promise<void> {
  const key = good[uses++ % good.length];
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

const results: Record<string, number> = {};
let unknownKeys = 0;
async function useUnknownKey(): Promise<void> {
  const result = await verifier.verify(`sk-unknown-${unknownKeys++}`);
  const name =
    result.source.startsWith('fail') && 'failure' in result ? `${result.source} ${result.failure.kind}` : result.source;
  results[name] = (results[name] ?? 0) + 1;
}

const loopDelay = monitorEventLoopDelay({ resolution: 5 });
const delays: Record<string, number> = {};
async function lull(name: 'before' | 'after'): Promise<void> {
  phase = phases[name];
  loopDelay.reset();
  loopDelay.enable();
  await sleep(LULL_MS);
  delays[name] = Number((loopDelay.percentile(99) / 1e6).toFixed(1));
}

await lull('before');
phase = newPhase();
const atStart = await memoryUsage();
phase = phases.during;
loopDelay.reset();
const floodedAt = performance.now();
let inMiddle = atStart;
let measured = false;
/** The memory of the process over the course of the flood. */
const rss: number[] = [];
while (unknownKeys < keys) {
  if (unknownKeys >= (keys / RSS_SAMPLES) * (rss.length + 1)) rss.push(mebibytes(process.memoryUsage.rss()));
  await sleep(1);
  const due = Math.min(keys, unknownKeys + BURST, Math.floor(((performance.now() - floodedAt) / 1000) * rate));
  for (let left = due - unknownKeys; left > 0; left--) void useUnknownKey();
  if (!measured && unknownKeys >= keys / 2) {
    measured = true;
    const paused = phase;
    // The forced garbage collection must not count as latency of the flood.
    phase = newPhase();
    inMiddle = await memoryUsage();
    phase = paused;
  }
}
const floodSeconds = (performance.now() - floodedAt) / 1000;
delays['during'] = Number((loopDelay.percentile(99) / 1e6).toFixed(1));
while (verifier.stats().queued > 0) await sleep(10);
phase = newPhase();
const atEnd = await memoryUsage();
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
const latencies = (of: (share: number) => number) =>
  Object.fromEntries(SHARES.map((share) => [`p${share}`, of(share)]));
const latency = {
  ...Object.fromEntries(
    Object.entries(phases).map(([name, phase]) => [name, latencies((share) => micros(phase.latency, share))]),
  ),
  'ratio, during to before': latencies((share) =>
    Number((micros(phases.during.latency, share) / micros(phases.before.latency, share)).toFixed(2)),
  ),
};
const hits = Object.values(phases).reduce((total, phase) => total + phase.hits, 0);
const misses = Object.values(phases).reduce((total, phase) => total + phase.misses, 0);
const opened = Object.entries(results).filter(([name]) => name.startsWith('fail-open'));

await publish('flood', {
  'made-up keys': unknownKeys,
  'made-up keys per second': Math.round(unknownKeys / floodSeconds),
  'valid keys in use': goodKeys,
  'uses of valid keys': hits + misses,
  'hit rate of valid keys': `${((100 * hits) / (hits + misses)).toFixed(4)} %`,
  'most requests in flight': wire.most,
  'their limit': LIMIT,
  'requests that reached the server': counts.requests,
  'unhandled rejections': unhandled.length,
  'Results of made-up keys': results,
  'Cached verdicts at the end': stats.entries,
  'Latency of valid keys in µs': latency,
  'Event loop delay in ms, p99': delays,
  'Memory in MiB, heap after a garbage collection': { start: atStart, middle: inMiddle, end: atEnd },
  'Memory of the process in MiB, at equal steps of the flood': rss,
});
const broken = [
  misses > 0 && 'good keys missed the cache',
  opened.length > 0 && 'it failed open',
  // A control question goes beside them.
  wire.most > LIMIT + 1 && 'more requests than the limit',
  atEnd.heap > inMiddle.heap * 1.1 && 'the heap grew',
  Math.max(...rss.slice(-5)) > Math.max(...rss.slice(5, 10)) * 1.2 && 'the memory of the process grew',
  unhandled.length > 0 && 'unhandled rejections',
].filter((what) => what !== false);
for (const what of broken) console.error(what);
if (broken.length > 0) process.exitCode = 1;
