import { setTimeout as sleep } from 'node:timers/promises';

import { Agent } from 'undici';

import { KeyVerifier, VerifyFailure, type VerifyResult } from 'keyverify';

import { Random } from '../lib/random.js';
import { watchRequests } from '../lib/requests.js';
import { Memory } from './memory.js';
import { Pulse } from './pulse.js';
import {
  AFTERMATH_MS,
  ISSUED,
  LAW,
  STRANGERS,
  TOKEN,
  VARIANTS,
  keyOf,
  type FromVerifier,
  type Sighting,
  type ToVerifier,
} from './wire.js';

const [, , port = '', index = '', seed = ''] = process.argv;
const variant = VARIANTS[Number(index)] ?? VARIANTS[0];
const random = new Random(Number(seed) + Number(index) + 1);

const CALLERS = 12;
/** Past the deadline, and past any doubt that it is only the event loop that is late: a control timer in the same loop. */
const LATE_MS = LAW.timeoutMs + 100;

const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));

const wire = watchRequests();
const agent = variant.transport === 'dispatcher' ? new Agent({ connections: LAW.maxConcurrency }) : undefined;
const verifier = new KeyVerifier<boolean>({
  verifyUrl: `http://127.0.0.1:${port}/internal/verify-key`,
  serviceToken: variant.transport === 'fetch' ? () => TOKEN : TOKEN,
  ...LAW,
  refreshAheadRatio: 0.8,
  retries: variant.retries,
  breaker: variant.breaker && LAW.breaker,
  failOpen: variant.failOpen,
  logger: { warn: () => undefined },
  ...(agent && { dispatcher: agent }),
  ...(variant.transport === 'fetch' && { fetch: async (url, init) => await fetch(url, init) }),
});

const memory = new Memory();
const thrown: string[] = [];
let sightings: Sighting[] = [];
let calls = 0;
let left = 0;
let late = 0;
let mostAsking = 0;
let stalledUntil = 0;
let running = true;

const pulse = new Pulse((at) => {
  stalledUntil = at + AFTERMATH_MS;
});

/** Whether this process lacked a processor lately, so that its times mean little. */
const stalled = (from: number): boolean => from < stalledUntil || pulse.isFaint;

const send = (message: FromVerifier): boolean | undefined => process.send?.(message);
const report = setInterval(() => {
  send({ type: 'seen', sightings });
  sightings = [];
}, 200);

async function call(): Promise<void> {
  const key = random.chance(0.15) ? random.between(ISSUED, ISSUED + STRANGERS) : random.between(0, ISSUED);
  const maxAgeMs = random.chance(0.1) ? random.pick([0, 0, 300, 1_000]) : undefined;
  const mayOpen = variant.failOpen && !random.chance(0.1);
  const leaving = random.chance(0.03) ? AbortSignal.timeout(random.between(0, 50)) : undefined;
  const from = Date.now();
  const control = setTimeout(() => {
    // Several timers in a row, each late because this process was, prove nothing either.
    setImmediate(() => pending && !stalled(from) && late++);
  }, LATE_MS);
  let pending = true;
  calls++;
  try {
    const result = await verifier.verify(keyOf(key), { maxAgeMs, signal: leaving, failOpen: mayOpen });
    see(key, from, maxAgeMs, mayOpen, result);
  } catch (error) {
    if (leaving?.aborted === true && error === leaving.reason) left++;
    else thrown.push(String(error));
  }
  pending = false;
  clearTimeout(control);
  mostAsking = Math.max(mostAsking, verifier.stats().asking);
}

function see(
  key: number,
  from: number,
  maxAgeMs: number | undefined,
  mayOpen: boolean,
  result: VerifyResult<unknown, boolean>,
): void {
  const at = Date.now();
  const remembered = memory.of(key);
  const failure = 'failure' in result ? result.failure : undefined;
  if (failure !== undefined && !(failure instanceof VerifyFailure)) thrown.push('a failure of another kind');
  sightings.push({
    key,
    from,
    at,
    kind: kindOf(result),
    source: result.source,
    failure: failure?.kind,
    verifiedAt: 'verifiedAt' in result ? result.verifiedAt : 0,
    expiresAt: 'expiresAt' in result ? result.expiresAt : undefined,
    maxAgeMs,
    mayOpen,
    ...remembered,
    // What was forgotten while this was on its way may still be told to those who were waiting for it.
    forgottenAt: remembered.forgottenAt <= from ? remembered.forgottenAt : -Infinity,
    stalled: stalled(from),
  });
  memory.learn(key, from, result);
}

function kindOf(result: VerifyResult<unknown, boolean>): Sighting['kind'] {
  if (result.source === 'fail-open') return 'open';
  if (result.source === 'fail-closed') return 'closed';
  return result.valid ? 'verified' : 'rejected';
}

async function caller(): Promise<void> {
  while (running) {
    await call();
    await sleep(random.between(1, 15));
  }
}

process.on('message', (message: ToVerifier) => {
  if (message.type === 'stop') running = false;
  else {
    verifier.invalidate({ key: keyOf(message.key) });
    memory.forget(message.key);
  }
});

await Promise.all(Array.from({ length: CALLERS }, caller));
pulse.stop();
clearInterval(report);
await verifier.close();
await agent?.close();
// What the harness itself holds: the channel to the parent.
await sleep(50);
const leftBehind = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout|Immediate/.test(name));
send({ type: 'seen', sightings });
send({
  type: 'done',
  confession: { calls, left, late, thrown, unhandled, mostInFlight: wire.most, mostAsking, leftBehind },
});
process.disconnect();
