import { setTimeout as sleep } from 'node:timers/promises';

import { startKeyServer, type KeyServer } from 'keyverify/testing';

import { ended, start } from '../lib/child.js';
import { numbers, publish } from '../lib/figures.js';
import { Checker } from './checker.js';
import { SERVERS, isCalm, plan, type Happening } from './plan.js';
import { Proxy } from './proxy.js';
import { Pulse } from './pulse.js';
import { Truth } from './truth.js';
import {
  AFTERMATH_MS,
  ISSUED,
  LAW,
  STRANGERS,
  TOKEN,
  VARIANTS,
  keyOf,
  type Confession,
  type FromVerifier,
} from './wire.js';

const { seconds, seed } = numbers({ seconds: 180, seed: Date.now() % 1_000_000 });
console.log(`chaos: ${seconds} s, --seed ${seed} for the same plan again (not for the same interleaving)`);

const happenings = plan(seed, seconds);
const truth = new Truth(ISSUED + STRANGERS);
const servers: KeyServer[] = [];
for (let i = 0; i < SERVERS; i++)
  servers.push(await startKeyServer({ serviceTokens: [TOKEN], keepAliveTimeoutMs: 1_000 }));
const proxies = VARIANTS.map(() => new Proxy(servers.map(({ port }) => port)));
const children = await Promise.all(
  proxies.map(async (proxy, i) => {
    const args = [await proxy.start(), i, seed].map(String);
    return start(new URL('./verifier.ts', import.meta.url), args);
  }),
);

/** Key servers and proxies live in this process: while it lacks a processor they are out, whatever the plan says. */
const stalls: number[] = [];
const pulse = new Pulse((at) => stalls.push(at));

let startedAt = Infinity;
const checker = new Checker(
  truth,
  (from, to) =>
    from >= startedAt &&
    isCalm(from - startedAt, to - startedAt) &&
    !stalls.some((at) => at > from - AFTERMATH_MS && at - AFTERMATH_MS < to),
);
const confessions: (Confession | undefined)[] = VARIANTS.map(() => undefined);
children.forEach((child, i) => {
  child.on('message', (message: FromVerifier) => {
    if (message.type === 'done') confessions[i] = message.confession;
    else for (const sighting of message.sightings) checker.check(VARIANTS[i]?.name ?? '', sighting);
  });
});

function issue(key: number, endsAt?: number): void {
  const record = { client: `client-${key}`, tenant: `tenant-${key % 7}`, keyId: `id-${key}` };
  for (const server of servers)
    server.issue(keyOf(key), endsAt === undefined ? record : { ...record, expiresAt: endsAt });
  truth.note(key, true, endsAt);
}

const faults: Record<string, number> = {};
const disturbances: Promise<void>[] = [];

function happen(what: Happening): void {
  if (what.do === 'issue') issue(what.key);
  else if (what.do === 'expire') issue(what.key, Date.now() + what.inMs);
  else if (what.do === 'network') {
    const proxy = proxies[what.verifier];
    if (proxy !== undefined) lasting(`network: ${what.fault.kind}`, proxy, what);
  } else if (what.do === 'server' || what.do === 'stop') {
    const server = servers[what.server];
    if (server !== undefined) disturbances.push(disturb(server, what));
  } else {
    for (const server of servers) {
      if (what.do === 'forget') server.forget(keyOf(what.key));
      else server.revoke(keyOf(what.key));
    }
    truth.note(what.key, false);
    if (what.do === 'revoke and tell') for (const child of children) child.send({ type: 'forget', key: what.key });
  }
}

function lasting(name: string, proxy: Proxy, { fault, ms }: Extract<Happening, { do: 'network' }>): void {
  faults[name] = (faults[name] ?? 0) + 1;
  proxy.fault = fault;
  setTimeout(() => {
    if (proxy.fault === fault) proxy.fault = undefined;
  }, ms);
}

async function disturb(server: KeyServer, what: Extract<Happening, { do: 'server' | 'stop' }>): Promise<void> {
  const name = what.do === 'stop' ? 'server: restart' : `server: ${what.fault.kind}${statusOf(what.fault)}`;
  faults[name] = (faults[name] ?? 0) + 1;
  if (what.do === 'stop') await server.stop();
  else server.misbehave(what.fault);
  await sleep(what.ms);
  if (what.do === 'stop') await server.start();
  else server.behave();
}

const statusOf = (fault: object): string => ('status' in fault ? ` ${String(fault.status)}` : '');

for (let key = 0; key < ISSUED; key += 2) issue(key);
// Until every verifier has had time to come up, all is well.
await sleep(1_500);
startedAt = Date.now();
for (const what of happenings) {
  const wait = startedAt + what.atMs - Date.now();
  if (wait > 0) await sleep(wait);
  happen(what);
}
await sleep(Math.max(0, startedAt + seconds * 1000 - Date.now()));
for (const child of children) child.send({ type: 'stop' });
const codes = await Promise.all(children.map(async (child) => await ended(child, 10_000)));

for (const [i, { name }] of VARIANTS.entries()) {
  const confession = confessions[i];
  const wrong = (what: string): number => checker.violations.push(`${name}: ${what}`);
  if (confession === undefined || codes[i] !== 0) {
    wrong(`the process did not end by itself and in order (${String(codes[i])})`);
    continue;
  }
  if (confession.late > 0) wrong(`${confession.late} callers waited past the deadline`);
  for (const error of confession.thrown) wrong(`verify() threw: ${error}`);
  for (const reason of confession.unhandled) wrong(`unhandled rejection: ${reason}`);
  if (Math.max(confession.mostInFlight, confession.mostAsking) > LAW.maxConcurrency) wrong('more calls than the limit');
  if (confession.leftBehind.length > 0) wrong(`left behind at close: ${confession.leftBehind.join(', ')}`);
}
pulse.stop();
// A server that is to come back would come back after its end.
await Promise.all(disturbances);
for (const proxy of proxies) proxy.close();
for (const server of servers) await server.close();

const sum = (of: (confession: Confession) => number): number =>
  confessions.reduce((total, confession) => total + (confession === undefined ? 0 : of(confession)), 0);
await publish('chaos', {
  seed,
  seconds,
  verifiers: VARIANTS.map(({ name }) => name),
  'changes to keys': happenings.filter(({ do: what }) => !['network', 'server', 'stop'].includes(what)).length,
  faults,
  'faults in all': Object.values(faults).reduce((a, b) => a + b, 0),
  calls: sum(({ calls }) => calls),
  'callers who left': sum(({ left }) => left),
  'results checked': checker.checked,
  'of those, in calm, when each has to be fresh': checker.calm,
  'moments in which the servers lacked a processor': stalls.length,
  results: checker.results,
  'requests that reached a server': servers.reduce((total, { counts }) => total + counts.requests, 0),
  'most requests in flight, per verifier': confessions.map((confession) => confession?.mostInFlight),
  'the limit': LAW.maxConcurrency,
  violations: checker.violations.length,
});
for (const violation of checker.violations.slice(0, 20)) console.error(violation);
if (checker.violations.length > 0 || checker.checked === 0) process.exitCode = 1;
