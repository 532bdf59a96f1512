import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { KeyVerifier, type Clock } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';

import { Pulse } from '../../chaos/pulse.js';
import { Random } from '../../lib/random.js';
import { CHANGING, MEMBERS, REGULARS, SECRET, SETTINGS, TOKEN, keyOf } from './wire.js';
import type { FromMember, Sighting, ToMember } from './wire.js';

const [verifyUrl = '', port = '', number = '', seed = ''] = process.argv.slice(2);
const { ways, clockMs } = MEMBERS[Number(number)] ?? MEMBERS[0];
const { cacheTtlMs, rejectedTtlMs, staleIfErrorMs, timeoutMs, sharedTimeoutMs, pollMs, heartbeatMs } = SETTINGS;

const redis = new Redis(Number(port), '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 1 });
redis.on('error', () => undefined);
const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
const clock: Clock = {
  wall: () => Date.now() + clockMs,
  monotonic: () => performance.now(),
  after(ms, run, background) {
    const timer = setTimeout(run, ms);
    if (background === true) timer.unref();
    return () => clearTimeout(timer);
  },
};
const build = (): KeyVerifier =>
  new KeyVerifier({
    verifyUrl,
    serviceToken: TOKEN,
    cacheTtlMs,
    rejectedTtlMs,
    staleIfErrorMs,
    timeoutMs,
    sharedTimeoutMs,
    clock,
    logger: false,
    sharedCache: redisCache({ send, secret: SECRET }),
    revocations: ways.map((way) =>
      way === 'redis' ? redisRevocations({ send, pollMs }) : sseRevocations({ heartbeatMs }),
    ),
  });
const verifier = build();

const random = new Random(Number(seed) + Number(number));
const pulse = new Pulse(() => undefined);
const forgotten = new Map<number, number>();
const thrown: string[] = [];
let sightings: Sighting[] = [];
const run = { isOver: false };

const tell = (message: FromMember): void => void process.send?.(message);

async function call(key: number, text = keyOf(key), by = verifier): Promise<void> {
  // What was invalidated in one of them alone, the other one doesn't know.
  const forgottenAt = (by === verifier ? forgotten.get(key) : undefined) ?? -Infinity;
  const [from, wasFaint] = [Date.now(), pulse.isFaint];
  try {
    const result = await by.verify(text);
    const { status, source } = result;
    const kind = status === 'failed-closed' ? 'closed' : status;
    const failure = 'failure' in result ? result.failure.kind : undefined;
    const stalled = wasFaint || pulse.isFaint;
    sightings.push({ key, from, at: Date.now(), kind, source, failure, forgottenAt, stalled });
  } catch (error) {
    thrown.push(String(error));
  }
}

/** All processes load their code at once: on a busy machine that takes longer than `timeoutMs`. */
async function warmUp(by: KeyVerifier, left = 10): Promise<void> {
  await by.warmUp().catch(async (error: unknown) => {
    if (left === 0) throw error;
    await warmUp(by, left - 1);
  });
}

/** What a process does that starts now: it learns all keys from the others, one after the other. */
async function startAnew(): Promise<void> {
  const newcomer = build();
  await warmUp(newcomer);
  const keys = Array.from({ length: CHANGING + REGULARS.count }, (_, i) =>
    i < CHANGING ? i : REGULARS.from + i - CHANGING,
  );
  for (const key of keys) if (!run.isOver) await call(key, keyOf(key), newcomer);
  await newcomer.close();
}
async function startOften(): Promise<void> {
  while (!run.isOver) {
    await sleep(random.between(500, 3_000));
    await startAnew();
  }
}

process.on('unhandledRejection', (reason) => thrown.push(`unhandled: ${String(reason)}`));
process.once('disconnect', () => process.exit(1));
process.on('message', (message: ToMember) => {
  if (message.type === 'stop') run.isOver = true;
  else {
    verifier.invalidate({ key: keyOf(message.key) });
    forgotten.set(message.key, Date.now());
  }
});

await warmUp(verifier);
tell({ type: 'ready' });
const starting = startOften();
for (let n = 0; !run.isOver; n++) {
  for (let i = 0; i < 4; i++) void call(random.between(0, CHANGING));
  void call(REGULARS.from + random.between(0, REGULARS.count));
  // Nobody's: they must leave nothing behind.
  void call(-1, `sk-fleet-made-up-${number}-${n}`);
  if (n % 20 === 0) {
    tell({ type: 'seen', sightings });
    sightings = [];
  }
  await sleep(10);
}
await starting;
await verifier.close();
pulse.stop();
redis.disconnect();
tell({ type: 'seen', sightings });
tell({ type: 'done', thrown, sources: verifier.stats().results });
process.removeAllListeners('message');
process.removeAllListeners('disconnect');
process.disconnect();
const LEFT_MS = 3_000;
setTimeout(() => {
  console.error(`${MEMBERS[Number(number)]?.name}: left behind:`, process.getActiveResourcesInfo());
}, LEFT_MS).unref();
