import { hash } from 'node:crypto';
import { PerformanceObserver } from 'node:perf_hooks';

import { LRUCache } from 'lru-cache';

import { KeyVerifier } from '../../dist/index.js';
import { given } from '../lib/child.mjs';
import { TOKEN, instantTransport, keyOf, recordOf } from '../lib/keys.mjs';
import { median, paired, quantile } from '../lib/paired.mjs';

/** One size and one subject for each process, so that each has a heap of its own. */
const { size, subject } = given();

/** Coprime to every size, so that hits jump through all keys and find no cache line warm. */
const STEP = 7_919;
const SAMPLE = Math.min(size, 100_000);
const INVALIDATIONS = 1_000;

const heap = () => {
  for (let i = 0; i < 4; i++) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** What a store of all keys takes, its own tables included. */
async function bytesOf(build, store) {
  const before = heap();
  const stored = build();
  for (let i = 0; i < size; i++) await store(stored, i);
  await new Promise((resolve) => setImmediate(resolve));
  return { stored, bytes: (heap() - before) / size };
}

/** How long many invalidations take: each looks at other entries, and they come round twice. `gcMs`: what the collector took of the longest. */
async function longestPause(verifier) {
  globalThis.gc();
  const collections = [];
  const observer = new PerformanceObserver((list) => collections.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  const calls = [];
  for (let i = 0; i < INVALIDATIONS; i++) {
    const start = performance.now();
    verifier.invalidate({ tenant: recordOf(i).tenant });
    calls.push({ start, ms: performance.now() - start });
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
  observer.disconnect();
  const ms = calls.map((call) => call.ms);
  const longest = calls[ms.indexOf(Math.max(...ms))];
  const gcMs = collections
    .filter(({ startTime }) => startTime >= longest.start && startTime < longest.start + longest.ms)
    .reduce((sum, { duration }) => sum + duration, 0);
  return { longestMs: longest.ms, gcMs, medianMs: median(ms), p99Ms: quantile(ms, 0.99) };
}

if (subject === 'keyverify') {
  let asked = 0;
  const options = {
    verifyUrl: 'http://127.0.0.1:1/',
    serviceToken: TOKEN,
    transport: instantTransport(() => asked),
    maxEntries: size,
    cacheTtlMs: 86_400_000,
  };
  // What the first verifier of a process loads is no part of the bytes of an entry.
  await new KeyVerifier(options).verify('sk-first');
  const { stored: verifier, bytes } = await bytesOf(
    () => new KeyVerifier(options),
    async (filling, i) => {
      asked = i;
      await filling.verify(keyOf(i));
    },
  );
  const sample = Array.from({ length: SAMPLE }, (_, i) => keyOf((i * STEP) % size));
  const map = new Map(Array.from({ length: size }, (_, i) => [hash('sha256', keyOf(i), 'binary'), { valid: true, i }]));
  let turn = 0;
  const each = (once) => async (calls) => {
    for (let i = 0; i < calls; i++)
      if ((await once(sample[turn++ % SAMPLE])) === undefined) throw new Error('no answer');
  };
  const eachSync = (once) => (calls) => {
    for (let i = 0; i < calls; i++) if (once(sample[turn++ % SAMPLE]) === undefined) throw new Error('no answer');
  };
  const samples = await paired(
    {
      hit: { run: each((key) => verifier.verify(key)) },
      floor: { run: each(async (key) => map.get(hash('sha256', key, 'binary'))) },
      hitSync: { run: eachSync((key) => verifier.verifyCached(key)) },
      floorSync: { run: eachSync((key) => map.get(hash('sha256', key, 'binary'))) },
    },
    { rounds: 100, calls: 1_000, warmUp: 50 },
  );
  process.send({ bytes, samples, invalidate: await longestPause(verifier) });
} else {
  const { stored, bytes } = await bytesOf(
    () => new LRUCache({ max: size }),
    (cache, i) => {
      const { client, tenant, keyId, claims } = recordOf(i);
      const wire = JSON.stringify({ valid: true, client, tenant, key_id: keyId, ...claims });
      const { valid, client: c, tenant: t, key_id, ...rest } = JSON.parse(wire);
      const verdict = {
        valid,
        source: 'cache',
        client: c,
        tenant: t,
        keyId: key_id,
        claims: Object.freeze(rest),
        verifiedAt: Date.now(),
      };
      cache.set(hash('sha256', keyOf(i), subject), Object.freeze(verdict));
    },
  );
  if (stored.size !== size) throw new Error('some entries are missing');
  process.send({ bytes });
}
process.exit();
