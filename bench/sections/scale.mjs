import { hash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { KeyVerifier } from '../../dist/index.js';
import { given } from '../lib/child.mjs';
import { TOKEN, instantTransport, keyOf, recordOf } from '../lib/keys.mjs';
import { median, paired } from '../lib/paired.mjs';

/** One size and one subject for each process, so that each has a heap of its own. */
const { size, subject } = given();

/** Coprime to every size, so that hits jump through all keys and find no cache line warm. */
const STEP = 7_919;
const SAMPLE = Math.min(size, 100_000);

const heap = () => {
  for (let i = 0; i < 4; i++) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

async function fill(store) {
  const before = heap();
  for (let i = 0; i < size; i++) await store(i);
  await new Promise((resolve) => setImmediate(resolve));
  return (heap() - before) / size;
}

if (subject === 'keyverify') {
  let asked = 0;
  const verifier = new KeyVerifier({
    verifyUrl: 'http://127.0.0.1:1/',
    serviceToken: TOKEN,
    transport: instantTransport(() => asked),
    maxEntries: size,
    cacheTtlMs: 86_400_000,
  });
  await verifier.verify('sk-first');
  verifier.clear();
  const bytes = await fill(async (i) => {
    asked = i;
    await verifier.verify(keyOf(i));
  });
  const sample = Array.from({ length: SAMPLE }, (_, i) => keyOf((i * STEP) % size));
  const map = new Map(Array.from({ length: size }, (_, i) => [hash('sha256', keyOf(i), 'hex'), true]));
  let turn = 0;
  const each = (once) => async (calls) => {
    for (let i = 0; i < calls; i++)
      if ((await once(sample[turn++ % SAMPLE])) === undefined) throw new Error('no answer');
  };
  const samples = await paired(
    {
      hit: { run: each((key) => verifier.verify(key)) },
      floor: { run: each(async (key) => map.get(hash('sha256', key, 'hex'))) },
    },
    { rounds: 100, calls: 1_000, warmUp: 50 },
  );
  const start = performance.now();
  const forgotten = verifier.invalidate({ tenant: recordOf(7).tenant });
  const invalidateMs = performance.now() - start;
  process.send({ bytes, hit: median(samples.hit), floor: median(samples.floor), invalidateMs, forgotten });
} else {
  const cache = new LRUCache({ max: size });
  const bytes = await fill((i) => {
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
  });
  if (cache.size !== size) throw new Error('some entries are missing');
  process.send({ bytes });
}
process.exit();
