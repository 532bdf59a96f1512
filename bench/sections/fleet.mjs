import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { RedisServer } from '../../test/helpers/redis-server.ts';
import { measureLags } from '../../test/stress/fleet/lag.ts';
import { KeyVerifier } from '../../dist/index.js';
import { child } from '../lib/child.mjs';
import { connect, fleetCaches } from '../lib/fleet-caches.mjs';
import { TOKEN, keyOf } from '../lib/keys.mjs';
import { quantile } from '../lib/paired.mjs';

const version = /v=(\S+)/.exec(spawnSync('redis-server', ['--version']).stdout?.toString() ?? '')?.[1];
if (version === undefined) {
  process.send({ redis: undefined });
  process.exit();
}

const KEYS = 40_000;
const LONG_TTL_MS = 300_000;
const SHORT_TTL_MS = 500;
const PATIENCE_MS = 2_000;
const BATCHES = 24;
const BATCH = 25;
const PROCESSES = 4;
const PENDING = 'still pending';

// What a cache lets happen in the background must not end the measurement: it is counted.
let unhandled = 0;
/** Calls without a verdict in the measurements of time. */
let failed = 0;
process.on('unhandledRejection', () => unhandled++);
process.on('uncaughtException', () => unhandled++);
console.warn = () => undefined;
console.error = () => undefined;

let keysUsed = 0;
const nextKeys = (count) => Array.from({ length: count }, () => keyOf(keysUsed++));
const names = Object.keys(fleetCaches);

async function withServers(use) {
  const redis = await RedisServer.start();
  const server = await child('servers/key-server.mjs', { keys: KEYS });
  try {
    return await use({ redis, server, of: { verifyUrl: server.message.verifyUrl, port: redis.port } });
  } finally {
    await server.stop();
    redis.thaw();
    await redis.close();
  }
}

const quietly = async (work) => await Promise.race([work.catch(() => undefined), sleep(1_000)]);

async function settled(work) {
  const answer = work.then(
    (valid) => (valid ? 'valid' : 'rejected'),
    () => 'no verdict',
  );
  return await Promise.race([answer, sleep(PATIENCE_MS, PENDING)]);
}

async function usPerCall(count, call) {
  const start = performance.now();
  for (let i = 0; i < count; i++) await call(i).catch(() => failed++);
  return ((performance.now() - start) * 1_000) / count;
}

/** Hits and misses in turns, a batch of each package after the other, and a bare GET of as many bytes. */
async function costs() {
  return await withServers(async ({ server, of }) => {
    const redis = connect(of.port);
    await redis.set('bare', 'x'.repeat(380));
    const alone = new KeyVerifier({ verifyUrl: of.verifyUrl, serviceToken: TOKEN });
    const build = () =>
      Object.fromEntries(names.map((name) => [name, fleetCaches[name]({ ...of, ttlMs: LONG_TTL_MS })]));
    const [writers, readers] = [build(), build()];
    for (const cache of [...Object.values(writers), ...Object.values(readers), alone])
      await settled(cache.verify(nextKeys(1)[0]));
    // Hits that the key server had to be asked for after all, as where Redis took longer than its budget.
    const asked = {};
    const hits = { GET: [] };
    const misses = { 'keyverify, without a shared cache': [] };
    for (let batch = -4; batch < BATCHES; batch++) {
      const record = (samples, name, us) => {
        if (batch >= 0) (samples[name] ??= []).push(us);
      };
      record(hits, 'GET', await usPerCall(BATCH, async () => await redis.get('bare')));
      const unshared = nextKeys(BATCH);
      record(
        misses,
        'keyverify, without a shared cache',
        await usPerCall(BATCH, async (i) => await alone.verify(unshared[i])),
      );
      for (let turn = 0; turn < names.length; turn++) {
        const name = names[(turn + batch + 4) % names.length];
        const keys = nextKeys(BATCH);
        record(misses, name, await usPerCall(BATCH, async (i) => await writers[name].verify(keys[i])));
        // Some of them write in the background.
        await sleep(20);
        const { requests: before } = await server.ask({});
        record(hits, name, await usPerCall(BATCH, async (i) => await readers[name].verify(keys[i])));
        const { requests } = await server.ask({});
        asked[name] = (asked[name] ?? 0) + requests - before;
      }
    }
    await Promise.all(
      [...Object.values(writers), ...Object.values(readers), alone].map((cache) => quietly(cache.close())),
    );
    redis.disconnect();
    return { hits, misses, asked };
  });
}

/** Requests to the key server by processes that need the same keys, one process after the other and all at once. */
async function requests(name, keys = 200) {
  return await withServers(async ({ server, of }) => {
    const fleet = Array.from({ length: PROCESSES }, () => fleetCaches[name]({ ...of, ttlMs: LONG_TTL_MS }));
    const count = async (run) => {
      const { requests: before } = await server.ask({});
      await run();
      return (await server.ask({})).requests - before;
    };
    const first = nextKeys(keys);
    const inTurn = await count(async () => {
      for (const cache of fleet) {
        for (const key of first) await settled(cache.verify(key));
        await sleep(100);
      }
    });
    const second = nextKeys(keys);
    const atOnce = await count(async () => {
      for (const key of second) await Promise.all(fleet.map((cache) => settled(cache.verify(key))));
    });
    await Promise.all(fleet.map((cache) => quietly(cache.close())));
    return { keys, inTurn, atOnce };
  });
}

/** Misses while Redis accepts everything and answers nothing, or is gone. */
async function withoutRedis(name, state) {
  return await withServers(async ({ redis, of }) => {
    const cache = fleetCaches[name]({ ...of, ttlMs: LONG_TTL_MS });
    for (const key of nextKeys(4)) await settled(cache.verify(key));
    if (state === 'frozen') redis.freeze();
    else await redis.kill();
    await Promise.all(nextKeys(8).map((key) => settled(cache.verify(key))));
    const [ms, answers] = [[], {}];
    for (const key of nextKeys(40)) {
      const start = performance.now();
      const answer = await settled(cache.verify(key));
      ms.push(performance.now() - start);
      answers[answer] = (answers[answer] ?? 0) + 1;
      if (answers[PENDING] === 3) break;
    }
    await quietly(cache.close());
    return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99), answers };
  });
}

/** Until another process refuses a revoked key, of which the first process was told. */
async function revocation(name, rounds = 5) {
  return await withServers(async ({ server, of }) => {
    const [told, other] = [1, 2].map(() => fleetCaches[name]({ ...of, ttlMs: LONG_TTL_MS }));
    const lags = [];
    for (const key of nextKeys(rounds)) {
      // Both have asked the key server.
      await Promise.all([told, other].map((cache) => settled(cache.verify(key))));
      await server.ask({ revoke: key });
      const start = performance.now();
      await quietly(told.revoke(key));
      while (performance.now() - start < PATIENCE_MS && (await settled(other.verify(key))) === 'valid') await sleep(10);
      const ms = performance.now() - start;
      if (ms < PATIENCE_MS) lags.push(ms);
    }
    await Promise.all([told, other].map((cache) => quietly(cache.close())));
    return {
      rounds,
      refused: lags.length,
      medianMs: lags.length > 0 ? quantile(lags, 0.5) : 0,
      mostMs: Math.max(0, ...lags),
    };
  });
}

/** What a process answers while the key server is down. */
async function outage(name) {
  const cases = {
    async 'a new process, a key that another one knows'(build, { server }) {
      const [key] = nextKeys(1);
      await settled(build(LONG_TTL_MS).verify(key));
      await sleep(100);
      await server.stop();
      return await settled(build(LONG_TTL_MS).verify(key));
    },
    async 'the same, past the TTL'(build, { server }) {
      const [key] = nextKeys(1);
      await settled(build(SHORT_TTL_MS).verify(key));
      await sleep(SHORT_TTL_MS + 100);
      await server.stop();
      return await settled(build(SHORT_TTL_MS).verify(key));
    },
    async 'a revoked key, in another process'(build, { server }) {
      const [key] = nextKeys(1);
      const [told, other] = [build(LONG_TTL_MS), build(LONG_TTL_MS)];
      await Promise.all([told, other].map((cache) => settled(cache.verify(key))));
      await server.ask({ revoke: key });
      await quietly(told.revoke(key));
      await sleep(1_000);
      await server.stop();
      return await settled(other.verify(key));
    },
  };
  const answers = {};
  for (const [what, run] of Object.entries(cases))
    answers[what] = await withServers(async ({ server, of }) => {
      const built = [];
      const build = (ttlMs) => {
        const cache = fleetCaches[name]({ ...of, ttlMs });
        built.push(cache);
        return cache;
      };
      unhandled = 0;
      const answer = await run(build, { server });
      await sleep(200);
      const background = unhandled === 0 ? '' : `, ${unhandled} unhandled`;
      await Promise.all(built.map((cache) => quietly(cache.close())));
      return answer + background;
    });
  return answers;
}

async function measure() {
  const figures = { redis: version, processes: PROCESSES, patienceMs: PATIENCE_MS, costs: await costs(), failed };
  const parts = {
    requests,
    frozen: (name) => withoutRedis(name, 'frozen'),
    dead: (name) => withoutRedis(name, 'dead'),
    revocation,
    outage,
  };
  for (const [part, measurePart] of Object.entries(parts)) {
    figures[part] = {};
    for (const name of names) figures[part][name] = await measurePart(name);
  }
  return { ...figures, lags: await measureLags('redis', { pollMs: 500, rounds: 16 }) };
}

try {
  process.send(await measure());
} catch (error) {
  // The handlers above would keep it from ending.
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
}
process.exit();
