/** `npm run bench peers`: what keyverify and other packages do in the same bad cases. `--save` updates docs/reliability.md. */
import { setTimeout as sleep } from 'node:timers/promises';

import { startKeyServer } from '../../dist/testing.js';
import { numbers, publish } from '../../test/stress/lib/figures.ts';
import { label } from '../lib/versions.mjs';
import { caches } from './caches.mjs';
import { betterAuthWithoutDatabase, clients } from './clients.mjs';

const { seconds: patience } = numbers({ seconds: 15 });

let unhandled = 0;
process.on('unhandledRejection', () => unhandled++);
console.warn = () => undefined;

const KEY = 'sk-good-0';
const GOOD_KEYS = Array.from({ length: 50 }, (_, i) => `sk-good-${i}`);
/** How many verdicts each cache may hold. */
const CAPACITY = 500;
const UNKNOWN_PER_USE = 20;
const DELAY_MS = 300;
const LONG_TTL_MS = 300_000;
const SHORT_TTL_MS = 500;

const RECORD = { client: 'acme', tenant: 'cust-A' };
const startServer = () => startKeyServer({ keys: Object.fromEntries(GOOD_KEYS.map((key) => [key, RECORD])) });
const elapsed = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const nameOf = (error) => (error instanceof Error ? error.name : String(error));

async function until(condition, ms) {
  for (let left = ms; left > 0 && !condition(); left -= 10) await sleep(10);
}

/** What a client answers, and when; at most `patience` seconds are waited for it. */
async function outcome(client, key) {
  const since = performance.now();
  const answer = client(key).then(
    (text) => `${text} after ${elapsed(since)}`,
    (error) => `throws ${nameOf(error)} after ${elapsed(since)}`,
  );
  const pending = sleep(patience * 1000, `still pending after ${patience} s`, { ref: false });
  return await Promise.race([answer, pending]);
}

async function withFault(fault, connect) {
  const server = await startServer();
  const client = connect(server.url);
  if (fault === 'down') await server.stop();
  else server.injectFault(fault);
  const text = await outcome(client, KEY);
  const { requests } = server.counts;
  await server.stop();
  return fault === 'down' ? text : `${text}, ${requests} ${requests === 1 ? 'request' : 'requests'}`;
}

async function withCache(build, ttlMs, trial) {
  const server = await startServer();
  const text = await trial(build({ verifyUrl: server.verifyUrl, capacity: CAPACITY, ttlMs }), server);
  await server.stop();
  return text;
}

const answer = async (verdict) =>
  await verdict.then(
    (valid) => (valid ? 'valid' : 'rejected'),
    (error) => `throws ${nameOf(error)}`,
  );

const trials = {
  async stampede(cache, server) {
    server.injectFault({ kind: 'delay', ms: DELAY_MS });
    await Promise.all(Array.from({ length: 100 }, () => cache.verify(KEY)));
    return String(server.asked(KEY));
  },

  async failedRefresh(cache, server) {
    await cache.verify(KEY);
    await sleep(SHORT_TTL_MS * (cache.refreshesAfter + 0.1));
    server.injectFault({ kind: 'status', status: 500 });
    unhandled = 0;
    const text = await answer(cache.verify(KEY));
    await until(() => server.asked(KEY) > 1, 1_000);
    // The failure still has to reach the cache, and it may retry once.
    await sleep(DELAY_MS);
    return `${text}, ${unhandled} unhandled ${unhandled === 1 ? 'rejection' : 'rejections'}`;
  },

  async revokedDuringLoad(cache, server) {
    server.injectFault({ kind: 'delay', ms: DELAY_MS });
    const inFlight = answer(cache.verify(KEY));
    await until(() => server.counts.requests > 0, 1_000);
    server.clearFaults();
    server.revoke(KEY);
    await cache.invalidate(KEY);
    await inFlight;
    return await answer(cache.verify(KEY));
  },

  async firstCallerLeaves(cache, server) {
    server.injectFault({ kind: 'delay', ms: DELAY_MS });
    const leaving = new AbortController();
    const first = answer(cache.verify(KEY, leaving.signal));
    const second = answer(cache.verify(KEY));
    await until(() => server.counts.requests > 0, 1_000);
    leaving.abort();
    await first;
    return await second;
  },

  async flood(cache, server) {
    for (const key of GOOD_KEYS) await cache.verify(key);
    const asked = () => GOOD_KEYS.reduce((sum, key) => sum + server.asked(key), 0);
    const before = asked();
    const uses = 10 * GOOD_KEYS.length;
    for (let use = 0; use < uses; use++) {
      await cache.verify(GOOD_KEYS[use % GOOD_KEYS.length]);
      await Promise.all(Array.from({ length: UNKNOWN_PER_USE }, (_, i) => cache.verify(`sk-bad-${use}-${i}`)));
    }
    return `${(100 * (1 - (asked() - before) / uses)).toFixed(1)} %`;
  },
};

async function ofClients(fault) {
  const row = {};
  for (const [name, connect] of Object.entries(clients)) row[await label(name)] = await withFault(fault, connect);
  return row;
}

async function ofCaches(trial, ttlMs, names = Object.keys(caches)) {
  const row = {};
  for (const name of names) row[await label(name)] = await withCache(caches[name], ttlMs, trial);
  return row;
}

const auth = await betterAuthWithoutDatabase();
const flood = `Hit rate of ${GOOD_KEYS.length} valid keys, with ${UNKNOWN_PER_USE} made-up keys for each use of a valid one and a capacity of ${CAPACITY}`;
await publish('peers', {
  'The server hangs': await ofClients({ kind: 'hang' }),
  'The server answers 500': await ofClients({ kind: 'status', status: 500 }),
  'The server is down': {
    ...(await ofClients('down')),
    [await label('better-auth')]: await outcome(auth.client, auth.key),
  },
  'A refresh fails': await ofCaches(trials.failedRefresh, SHORT_TTL_MS),
  'A key that was revoked and invalidated during its first load': await ofCaches(trials.revokedDuringLoad, LONG_TTL_MS),
  'The second of two callers who share a load that the first one aborts': await ofCaches(
    trials.firstCallerLeaves,
    LONG_TTL_MS,
    ['keyverify', 'lru-cache'],
  ),
  'Requests for 100 concurrent callers': await ofCaches(trials.stampede, LONG_TTL_MS),
  [flood]: await ofCaches(trials.flood, LONG_TTL_MS),
});
// Clients that still wait for an answer would keep the process alive.
process.exit();
