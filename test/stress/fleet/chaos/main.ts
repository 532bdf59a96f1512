import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { redisRevocations } from 'keyverify/redis';
import { startKeyServer } from 'keyverify/testing';

import { RedisServer } from '../../../helpers/redis-server.js';
import { Pulse } from '../../chaos/pulse.js';
import { Truth } from '../../chaos/truth.js';
import { Violations } from '../../chaos/violations.js';
import { ended, start } from '../../lib/child.js';
import { numbers, publish } from '../../lib/figures.js';
import { Random } from '../../lib/random.js';
import { Checker } from './checker.js';
import { Intruder } from './intruder.js';
import { Line, type LineFault } from './line.js';
import { CHANGING, MEMBERS, REGULARS, SETTINGS, TOKEN, keyOf, type FromMember } from './wire.js';

const { seconds, seed } = numbers({ seconds: 180, seed: Date.now() % 1_000_000 });
console.log(`chaos with a fleet: ${seconds} s, --seed ${seed} for the same plan again`);

const random = new Random(seed);
const truth = new Truth();
const violations = new Violations(MEMBERS.map(({ name }) => name));
const checker = new Checker(truth, violations);
const server = await RedisServer.start();
const redis = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 1 });
redis.on('error', () => undefined);
const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);

/** Published after the commit, and again until it is there, as from an outbox. */
interface Published {
  readonly message: Parameters<NonNullable<typeof stream.publish>>[0];
  readonly key: number;
  readonly committedAt: number;
}
const outbox: Published[] = [];
const stream = redisRevocations({ send });
let changed = -1;
let isOver = false;
const keyServer = await startKeyServer({
  serviceTokens: [TOKEN],
  heartbeatMs: SETTINGS.heartbeatMs,
  // eslint-disable-next-line @typescript-eslint/require-await
  publishTo: { publish: async (message) => void outbox.push({ message, key: changed, committedAt: Date.now() }) },
});
async function publishAll(): Promise<void> {
  while (!isOver) {
    const [next] = outbox;
    if (next === undefined) await sleep(5);
    else {
      try {
        await stream.publish?.(next.message);
        outbox.shift();
        if (next.message.type === 'revoked') checker.published(next.key, next.committedAt);
      } catch (error) {
        // Somebody has put something else there.
        if (String(error).includes('WRONGTYPE')) await redis.del('keyverify:revocations').catch(() => undefined);
        await sleep(50);
      }
    }
  }
}
const publishing = publishAll();

function issue(key: number): void {
  changed = key;
  truth.note(key, true);
  keyServer.issue(keyOf(key), { client: `client-${key}`, tenant: `tenant-${key % 7}`, keyId: `id-${key}` });
}
function revoke(key: number): void {
  changed = key;
  truth.note(key, false);
  keyServer.revoke(keyOf(key));
}
for (let key = 0; key < CHANGING; key++) issue(key);
for (let i = 0; i < REGULARS.count; i++) issue(REGULARS.from + i);

const lines = MEMBERS.map(() => new Line(server.port));
const done: (Extract<FromMember, { type: 'done' }> | undefined)[] = MEMBERS.map(() => undefined);
const children = await Promise.all(
  lines.map(async (line, i) => {
    const args = [keyServer.verifyUrl, await line.start(), i, seed].map(String);
    const child = start(new URL('./member.ts', import.meta.url), args);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`process ${i} ended with ${code} before it was ready`)));
      child.on('message', (message: FromMember) => {
        if (message.type === 'ready') resolve();
        else if (message.type === 'done') done[i] = message;
        else for (const sighting of message.sightings) checker.check(i, sighting);
      });
    });
    return child;
  }),
);
// While this process lacks a processor, the key server and the lines are out.
const stalls = new Map<() => void, number>();
let stalled = 0;
const pulse = new Pulse((at) => {
  stalled++;
  for (const kind of ['server', 'redis', 'sse'] as const) stalls.set(checker.fault(kind), at);
});
const endStalls = (): void => {
  for (const [end, at] of stalls)
    if (Date.now() - at > SETTINGS.timeoutMs) {
      end();
      stalls.delete(end);
    }
};

const happened: Record<string, number> = {};
function count(name: string): void {
  happened[name] = (happened[name] ?? 0) + 1;
}
const intruder = new Intruder(redis, new Random(seed + 1));

async function disturbLine(): Promise<void> {
  const member = random.between(0, MEMBERS.length);
  const fault = random.pick<LineFault>(['cut', 'black-hole', 'slow']);
  const line = lines[member];
  if (line === undefined) return;
  count(`line: ${fault}`);
  const end = checker.fault('redis', member);
  line.fault = fault;
  if (fault === 'cut') line.cut();
  await sleep(random.between(200, 3_000));
  line.fault = undefined;
  // What was swallowed never comes: the clients have to notice.
  if (fault === 'black-hole') line.cut();
  end();
}

async function disturbRedis(): Promise<void> {
  const what = random.pick(['freeze', 'kill', 'wipe'] as const);
  count(`Redis: ${what}`);
  const end = checker.fault('redis');
  if (what === 'freeze') {
    server.freeze();
    await sleep(random.between(200, 3_000));
    server.thaw();
  } else if (what === 'kill') {
    await server.kill();
    await sleep(random.between(0, 2_000));
    await server.start();
  } else await redis.flushall();
  end();
}

async function disturbServer(): Promise<void> {
  count('key server: stopped');
  const ends = [checker.fault('server'), checker.fault('sse')];
  await keyServer.stop();
  await sleep(random.between(500, 2_500));
  await keyServer.start();
  for (const end of ends) end();
}

async function disturbStream(): Promise<void> {
  const isRestart = random.chance(0.5);
  count(isRestart ? 'SSE: another epoch' : 'SSE: cut');
  const end = checker.fault('sse');
  if (isRestart) keyServer.restartStream();
  else keyServer.dropConnections();
  await sleep(500);
  end();
}

async function intrude(): Promise<void> {
  const act = random.chance(0.9) ? 'tamper' : random.pick(['forge', 'stream'] as const);
  if (act === 'tamper') count(`intruder: ${await intruder.tamper()}`);
  else {
    const end = checker.fault('redis');
    if (act === 'forge') checker.forged();
    count(`intruder: ${act === 'forge' ? await intruder.forge() : await intruder.cutStream()}`);
    await sleep(SETTINGS.pollMs * 2);
    end();
  }
}

const startedAt = Date.now();
const endsAt = startedAt + seconds * 1000;
/** One disturbance of a kind after the other, with calm in between. */
async function every(ms: readonly [number, number], act: () => unknown): Promise<void> {
  for (;;) {
    await sleep(random.between(...ms));
    if (Date.now() >= endsAt) return;
    try {
      await act();
    } catch {
      count('could not be done');
    }
  }
}
await Promise.all([
  every([20, 80], () => {
    endStalls();
    const key = random.between(0, CHANGING);
    const what = random.pick(['issue', 'issue', 'revoke', 'revoke and forget'] as const);
    if (what === 'issue') issue(key);
    else revoke(key);
    if (what === 'revoke and forget') for (const child of children) child.send({ type: 'forget', key });
  }),
  every([3_000, 9_000], async () => await disturbLine()),
  every([4_000, 15_000], async () => await disturbRedis()),
  every([8_000, 20_000], async () => await disturbServer()),
  every([3_000, 12_000], async () => await disturbStream()),
  every([50, 1_500], async () => await intrude()),
]);
pulse.stop();
for (const child of children) child.send({ type: 'stop' });
const codes = await Promise.all(children.map(async (child) => await ended(child, 10_000)));
for (const [i, code] of codes.entries()) {
  const report = done[i];
  if (report === undefined || code !== 0) violations.add(i, 'process: it did not end by itself and in order', code);
  for (const error of report?.thrown ?? []) violations.add(i, '10: verify() threw', error);
}

// What lies in Redis now, and how much.
const names = await redis.keys('*');
const dump = await Promise.all(names.map(async (name) => `${name} ${String(await redis.get(name).catch(() => ''))}`));
const wrong = /sk-fleet|client-\d|tenant-\d|service-token/.exec(
  dump.filter((text) => !text.startsWith('keyverify:revocations')).join('\n'),
);
if (wrong !== null) violations.add(0, '9: Redis shows a secret', wrong[0]);
const entries = names.filter((name) => name.startsWith('keyverify:v1:') && !name.endsWith(':lease')).length;
if (entries > CHANGING + REGULARS.count) violations.add(0, '5: made-up keys were written', entries);

isOver = true;
await publishing;
redis.disconnect();
for (const line of lines) line.close();
await keyServer.close();
await server.close();
await publish('chaos-fleet', {
  seed,
  seconds,
  processes: MEMBERS.map(({ name }) => name),
  happened,
  'results checked': checker.checked,
  'of those, after a revocation that has to be effective': checker.timely,
  'moments in which the servers lacked a processor': stalled,
  results: checker.results,
  'entries in Redis at the end': entries,
  violations: violations.total,
  'violations by kind': violations.byKind,
});
console.table(violations.table);
for (const sample of violations.samples) console.error(sample);
if (violations.total > 0 || checker.checked === 0) process.exitCode = 1;
