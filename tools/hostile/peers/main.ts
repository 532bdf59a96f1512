/** `npm run peers`: puts keyverify and packages beside it into the same bad cases, and says what each of them does. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { startKeyServer, type Fault, type KeyServer } from 'keyverify/testing';

import { numbers, publish } from '../../../test/stress/lib/figures.js';
import { caches, type Cache, type Setup } from './caches.js';
import { betterAuthWithoutDatabase, clients, type Client } from './clients.js';

const { patience } = numbers({ patience: 15 });

let unhandled = 0;
process.on('unhandledRejection', () => unhandled++);
console.warn = () => undefined;

const KEY = 'sk-good-0';
const GOOD_KEYS = Array.from({ length: 50 }, (_, i) => `sk-good-${i}`);
/** How many verdicts each of them may hold. */
const CAPACITY = 500;
const MADE_UP_PER_USE = 20;
const DELAY_MS = 300;
const LONG_TTL_MS = 300_000;
const SHORT_TTL_MS = 500;

const startServer = async (): Promise<KeyServer> =>
  await startKeyServer({
    keys: Object.fromEntries(GOOD_KEYS.map((key) => [key, { client: 'acme', tenant: 'cust-A' }])),
  });

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** What comes of one question, and when, to whoever waits so long at the most. */
async function outcome(client: Client, key: string): Promise<string> {
  const since = performance.now();
  const answer = client(key).then(
    (said) => `${said} after ${seconds(since)}`,
    (error: unknown) => `throws ${error instanceof Error ? error.name : String(error)} after ${seconds(since)}`,
  );
  const pending = sleep(patience * 1000, `still pending after ${patience} s`, { ref: false });
  return await Promise.race([answer, pending]);
}

async function withFault(fault: Fault | 'down', connect: (serverUrl: string) => Client): Promise<string> {
  const server = await startServer();
  const client = connect(server.url);
  if (fault === 'down') await server.stop();
  else server.misbehave(fault);
  const what = await outcome(client, KEY);
  const { requests } = server.counts;
  await server.stop();
  return fault === 'down' ? what : `${what}, ${requests} ${requests === 1 ? 'request' : 'requests'}`;
}

type Trial = (cache: Cache, server: KeyServer) => Promise<string>;

async function withCache(build: (setup: Setup) => Cache, ttlMs: number, trial: Trial): Promise<string> {
  const server = await startServer();
  const what = await trial(build({ verifyUrl: server.verifyUrl, capacity: CAPACITY, ttlMs }), server);
  await server.stop();
  return what;
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  for (let left = ms; left > 0 && !condition(); left -= 10) await sleep(10);
}

const said = async (answer: Promise<boolean>): Promise<string> =>
  await answer.then(
    (good) => (good ? 'the key is good' : 'the key is refused'),
    (error: unknown) => `throws ${error instanceof Error ? error.name : String(error)}`,
  );

const stampede: Trial = async (cache, server) => {
  server.misbehave({ kind: 'delay', ms: DELAY_MS });
  await Promise.all(Array.from({ length: 100 }, async () => await cache.ask(KEY)));
  return String(server.asked(KEY));
};

const refreshFails: Trial = async (cache, server) => {
  await cache.ask(KEY);
  await sleep(SHORT_TTL_MS * (cache.refreshesAfter + 0.1));
  server.misbehave({ kind: 'status', status: 500 });
  unhandled = 0;
  const answer = await said(cache.ask(KEY));
  await until(() => server.asked(KEY) > 1, 1_000);
  // The failure has yet to reach whoever asked, who may try once more.
  await sleep(DELAY_MS);
  return `${answer}; unhandled rejections: ${unhandled}`;
};

const revokedDuringLoad: Trial = async (cache, server) => {
  server.misbehave({ kind: 'delay', ms: DELAY_MS });
  const onItsWay = said(cache.ask(KEY));
  await until(() => server.counts.requests > 0, 1_000);
  server.behave();
  server.revoke(KEY);
  await cache.forget(KEY);
  await onItsWay;
  return await said(cache.ask(KEY));
};

const firstCallerLeaves: Trial = async (cache, server) => {
  server.misbehave({ kind: 'delay', ms: DELAY_MS });
  const leaving = new AbortController();
  const first = said(cache.ask(KEY, leaving.signal));
  const second = said(cache.ask(KEY));
  await until(() => server.counts.requests > 0, 1_000);
  leaving.abort();
  await first;
  return await second;
};

const flood: Trial = async (cache, server) => {
  for (const key of GOOD_KEYS) await cache.ask(key);
  const asked = (): number => GOOD_KEYS.reduce((sum, key) => sum + server.asked(key), 0);
  const before = asked();
  const uses = 10 * GOOD_KEYS.length;
  for (let use = 0; use < uses; use++) {
    await cache.ask(GOOD_KEYS[use % GOOD_KEYS.length] ?? KEY);
    await Promise.all(Array.from({ length: MADE_UP_PER_USE }, async (_, i) => await cache.ask(`sk-bad-${use}-${i}`)));
  }
  return `${(100 * (1 - (asked() - before) / uses)).toFixed(1)} %`;
};

type Row = Record<string, string>;
const versions = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};
const label = (name: string): string => [name, versions.dependencies[name]].filter(Boolean).join(' ');

async function ofClients(fault: Fault | 'down'): Promise<Row> {
  const row: Row = {};
  for (const [name, connect] of Object.entries(clients)) row[label(name)] = await withFault(fault, connect);
  return row;
}

async function ofCaches(trial: Trial, ttlMs: number, names = Object.keys(caches)): Promise<Row> {
  const row: Row = {};
  for (const name of names) {
    const build = caches[name];
    if (build !== undefined) row[label(name)] = await withCache(build, ttlMs, trial);
  }
  return row;
}

const betterAuth = await betterAuthWithoutDatabase();
await publish('peers', {
  'the server hangs': await ofClients({ kind: 'hang' }),
  'the server answers 500': await ofClients({ kind: 'status', status: 500 }),
  'the server is down': {
    ...(await ofClients('down')),
    [label('better-auth')]: await outcome(betterAuth.client, betterAuth.key),
  },
  'a refresh fails': await ofCaches(refreshFails, SHORT_TTL_MS),
  'a key is revoked and forgotten while it is being asked about; then': await ofCaches(revokedDuringLoad, LONG_TTL_MS),
  'of two callers who wait for one answer the first leaves; the second hears': await ofCaches(
    firstCallerLeaves,
    LONG_TTL_MS,
    ['keyverify', 'lru-cache'],
  ),
  '100 callers at once; requests': await ofCaches(stampede, LONG_TTL_MS),
  [`${MADE_UP_PER_USE} made-up keys for every use of a good one, room for ${CAPACITY}; hit rate of good keys`]:
    await ofCaches(flood, LONG_TTL_MS),
});
// Those who still wait for an answer would hold the process.
process.exit();
