import { setTimeout as sleep } from 'node:timers/promises';

import { Agent } from 'undici';

import { KeyVerifier, VerifyFailure, fingerprint, type VerifyResult } from 'keyverify';

import { Random } from '../lib/random.js';
import { watchRequests } from '../lib/requests.js';
import { Hostile } from './hostile.js';
import { Memory } from './memory.js';
import { Pulse } from './pulse.js';
import { Schedule } from './schedule.js';
import {
  AFTERMATH_MS,
  ISSUED,
  MADE_UP,
  NEWCOMERS,
  NEWCOMERS_EACH,
  REGULARS,
  SETTINGS,
  TOKEN,
  UNKNOWN,
  VARIANTS,
  keyOf,
  type Arrival,
  type Caller,
  type FromVerifier,
  type Sighting,
  type ToVerifier,
} from './wire.js';

const [, , port = '', index = '', seed = '', seconds = ''] = process.argv;
const variant = VARIANTS[Number(index)] ?? VARIANTS[0];
const random = new Random(Number(seed) + Number(index) + 1);

const CALLERS = 12;
/** Past the deadline, and past any doubt that it is only the event loop that is late: a control timer in the same loop. */
const LATE_MS = SETTINGS.timeoutMs + 100;
const NEWCOMER = { everyMs: 500, retryMs: 100, patienceMs: 6_000 } as const;

const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));

const wire = watchRequests();
const agent =
  variant.transport === 'dispatcher' ? new Agent({ connections: 2 * variant.maxConcurrency + 8 }) : undefined;
const verifier = new KeyVerifier<boolean>({
  verifyUrl: `http://127.0.0.1:${port}/internal/verify-key`,
  serviceToken: variant.transport === 'fetch' ? () => TOKEN : TOKEN,
  ...SETTINGS,
  staleIfErrorMs: variant.staleIfErrorMs,
  maxConcurrency: variant.maxConcurrency,
  refreshAheadRatio: 0.8,
  retries: variant.retries,
  ...(!variant.breaker && { breaker: false }),
  failOpen: variant.failOpen,
  logger: { warn: () => undefined },
  observers: [{ onVerdict: ({ fingerprint: of }) => unseen(of) }],
  ...(agent && { dispatcher: agent }),
  ...(variant.transport === 'fetch' && { fetch: async (url, init) => await fetch(url, init) }),
});

const schedule = new Schedule(Number(seed), Number(seconds));
const memory = new Memory();
const thrown: string[] = [];
let sightings: Sighting[] = [];
let arrivals: Arrival[] = [];
let calls = 0;
let left = 0;
const late: object[] = [];
let mostAsking = 0;
let stalledUntil = 0;
let running = true;

/** How many callers wait for the verdict on each key that has a number, and its number, by fingerprint. */
const asking = new Map<string, { readonly key: number; callers: number }>();

/** A question that was asked in the background has its answer. */
function unseen(of: string): void {
  const asked = asking.get(of);
  if (asked?.callers === 0) memory.doubt(asked.key);
}

const pulse = new Pulse((at) => {
  stalledUntil = at + AFTERMATH_MS;
});

/** Whether this process lacked a processor lately, so that its times prove little. */
const stalled = (from: number): boolean => from < stalledUntil || pulse.isFaint;

const send = (message: FromVerifier): boolean | undefined => process.send?.(message);
function tell(): void {
  send({ type: 'seen', sightings, arrivals });
  sightings = [];
  arrivals = [];
}
const telling = setInterval(tell, 200);

const startingUp = setInterval(() => {
  const isCalibrated = !variant.failOpen || verifier.stats().controls > 0;
  if (!isCalibrated || verifier.health().lastVerdictAt === undefined) return;
  clearInterval(startingUp);
  send({ type: 'ready' });
}, 50);

type Result = VerifyResult<unknown, boolean>;
interface CallOptions {
  readonly maxAgeMs?: number | undefined;
  readonly mayOpen?: boolean;
  readonly signal?: AbortSignal | undefined;
}

async function ask(who: Caller, key: number | string, options: CallOptions = {}): Promise<Result | undefined> {
  const { maxAgeMs, mayOpen = variant.failOpen, signal } = options;
  const id = typeof key === 'number' ? key : MADE_UP;
  const from = Date.now();
  const knownBad = memory.knownBad(id, from);
  const control = setTimeout(() => {
    // Several timers in a row, each late because this process was, prove nothing either.
    setImmediate(() => call.isPending && !stalled(from) && late.push(call));
  }, LATE_MS);
  const call: { isPending: boolean; ms?: number; failure?: unknown } = { isPending: true };
  let result: Result | undefined;
  const waiting = waitFor(id);
  calls++;
  try {
    result = await verifier.verify(typeof key === 'number' ? keyOf(key) : key, { maxAgeMs, signal, failOpen: mayOpen });
    see({ who, key: id, from, maxAgeMs, mayOpen, knownBad }, result);
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) {
      left++;
      memory.doubt(id, SETTINGS.timeoutMs);
    } else thrown.push(String(error));
  }
  call.isPending = false;
  call.ms = Date.now() - from;
  call.failure = result && 'failure' in result && result.failure;
  waiting.callers--;
  clearTimeout(control);
  mostAsking = Math.max(mostAsking, verifier.stats().active);
  return result;
}

function waitFor(key: number): { callers: number } {
  const of = fingerprint(keyOf(key));
  const waiting = asking.get(of) ?? { key, callers: 0 };
  if (key !== MADE_UP) asking.set(of, waiting);
  waiting.callers++;
  return waiting;
}

type Asked = Pick<Sighting, 'who' | 'key' | 'from' | 'maxAgeMs' | 'mayOpen' | 'knownBad'>;

function see(asked: Asked, result: Result): void {
  const { key, from, knownBad } = asked;
  const at = Date.now();
  const { forgottenAt, freshUntil, freshSince, wasRejected, rejectedAt } = memory.of(key);
  const failure = 'failure' in result ? result.failure : undefined;
  if (failure !== undefined && !(failure instanceof VerifyFailure)) thrown.push('a failure of another kind');
  sightings.push({
    ...asked,
    at,
    kind: kindOf(result),
    source: result.source,
    failure: failure?.kind,
    evidence: failure?.evidence,
    answeredAt: verifier.health().lastVerdictAt ?? -Infinity,
    verifiedAt: 'verifiedAt' in result ? result.verifiedAt : 0,
    expiresAt: 'expiresAt' in result ? result.expiresAt : undefined,
    // What was forgotten while this was in flight may still be told to those who were waiting for it.
    forgottenAt: forgottenAt <= from ? forgottenAt : -Infinity,
    freshUntil,
    freshSince,
    wasRejected,
    rejectedAt,
    knownBad: knownBad && memory.knownBad(key, at),
    stalled: stalled(from),
  });
  if (key !== MADE_UP) memory.learn(key, from, result);
}

function kindOf(result: Result): Sighting['kind'] {
  if (result.source === 'fail-open') return 'open';
  if (result.source === 'fail-closed') return 'closed';
  return result.valid ? 'verified' : 'rejected';
}

async function caller(): Promise<void> {
  while (running) {
    await sleep(schedule.quietMs);
    const { isSiege } = schedule;
    const isUnknown = random.chance(0.15);
    const unknown = random.between(ISSUED, ISSUED + UNKNOWN);
    if (random.chance(isSiege ? 0.85 : 0.1)) {
      await ask('regular', REGULARS.from + random.between(0, REGULARS.count));
    } else {
      await ask('caller', isUnknown || isSiege ? unknown : random.between(0, ISSUED), {
        maxAgeMs: random.chance(0.1) ? random.pick([0, 0, 300, 1_000]) : undefined,
        mayOpen: variant.failOpen && !random.chance(0.1),
        signal: random.chance(0.03) ? AbortSignal.timeout(random.between(0, 50)) : undefined,
      });
    }
    await sleep(isSiege ? random.between(20, 120) : random.between(2, 30));
  }
}

async function newcomer(key: number): Promise<void> {
  const from = Date.now();
  let gotIn = false;
  while (running && !gotIn && Date.now() - from < NEWCOMER.patienceMs) {
    const result = await ask('newcomer', key);
    gotIn = result?.valid === true && result.source !== 'fail-open';
    if (!gotIn) await sleep(NEWCOMER.retryMs + schedule.quietMs);
  }
  arrivals.push({ from, at: Date.now(), gotIn, stalled: stalled(from) });
}

async function newcomers(): Promise<void> {
  const waiting: Promise<void>[] = [];
  for (let n = 0; running && n < NEWCOMERS_EACH; n++) {
    await sleep(NEWCOMER.everyMs + schedule.quietMs);
    waiting.push(newcomer(NEWCOMERS + Number(index) * NEWCOMERS_EACH + n));
  }
  await Promise.all(waiting);
}

async function hostile(): Promise<void> {
  const target = { ask, isBreakerOpen: () => verifier.stats().breaker !== 'closed' };
  const callers = new Hostile(target, random);
  for (const phase of schedule.phases) {
    const begin = schedule.startedAt + phase.fromMs;
    // In steps, since the run may end before.
    while (running && Date.now() < begin) await sleep(Math.min(100, begin - Date.now()));
    if (!running) return;
    const until = schedule.busyUntil(phase);
    if (phase.kind === 'outage') await callers.outage(until);
    else if (phase.kind === 'siege') await callers.siege(phase, phase.attacks[Number(index)] ?? 'poison', until);
  }
}

const attacks = new Promise<void>((resolve) => {
  process.on('message', (message: ToVerifier) => {
    if (message.type === 'begin') {
      schedule.startedAt = message.at;
      resolve(hostile());
    } else if (message.type === 'stop') running = false;
    else {
      verifier.invalidate({ key: keyOf(message.key) });
      memory.forget(message.key);
    }
  });
});

await Promise.all([...Array.from({ length: CALLERS }, caller), newcomers(), attacks]);
// Hostile callers wait for nothing; the last of them have their results by then.
await sleep(LATE_MS);
pulse.stop();
clearInterval(telling);
clearInterval(startingUp);
await verifier.close();
await agent?.close();
// What the harness itself holds: the channel to the parent.
await sleep(50);
const leftBehind = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout|Immediate/.test(name));
tell();
send({
  type: 'done',
  report: { calls, left, late, thrown, unhandled, mostInFlight: wire.most, mostAsking, leftBehind },
});
process.disconnect();
