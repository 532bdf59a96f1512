import { setTimeout as sleep } from 'node:timers/promises';

import { startKeyServer, type Fault, type KeyServer } from 'keyverify/testing';

import { ended, start } from '../lib/child.js';
import { numbers, percentile, publish } from '../lib/figures.js';
import { Checker } from './checker.js';
import { checkControls } from './controls.js';
import { SERVERS, plan, type Happening } from './plan.js';
import { Proxy } from './proxy.js';
import { Pulse } from './pulse.js';
import { Truth } from './truth.js';
import { Violations } from './violations.js';
import { NEWCOMERS, NEWCOMERS_EACH, REGULARS, TOKEN, VARIANTS, ISSUED, keyOf } from './wire.js';
import type { FromVerifier, SelfReport } from './wire.js';
import { World } from './world.js';

/** A process that takes longer to come up will not. */
const START_MS = 30_000;

const { seconds, seed } = numbers({ seconds: 180, seed: Date.now() % 1_000_000 });
console.log(`chaos: ${seconds} s, --seed ${seed} for the same plan again (not for the same interleaving)`);

const happenings = plan(seed, seconds);
const truth = new Truth();
const world = new World(seed, seconds);
const violations = new Violations(VARIANTS.map(({ name }) => name));
const checker = new Checker(truth, world, violations);
const servers: KeyServer[] = [];
for (let i = 0; i < SERVERS; i++)
  servers.push(await startKeyServer({ serviceTokens: [TOKEN], keepAliveTimeoutMs: 1_000 }));
const proxies = VARIANTS.map(() => new Proxy(servers.map(({ port }) => port)));

/** Whom the key servers know. */
const issued = new Set<number>();

function issue(key: number, endsAt?: number): void {
  issued.add(key);
  const record = { client: `client-${key}`, tenant: `tenant-${key % 7}`, keyId: `id-${key}` };
  for (const server of servers)
    server.issue(keyOf(key), endsAt === undefined ? record : { ...record, expiresAt: endsAt });
  truth.note(key, true, endsAt);
}
for (let key = 0; key < ISSUED; key += 2) issue(key);
for (let i = 0; i < REGULARS.count; i++) issue(REGULARS.from + i);
// A newcomer comes every half second.
for (const i of VARIANTS.keys()) for (let n = 0; n < (seconds + 10) * 2; n++) issue(NEWCOMERS + i * NEWCOMERS_EACH + n);

const children = await Promise.all(
  proxies.map(async (proxy, i) => {
    const args = [await proxy.start(), i, seed, seconds].map(String);
    return start(new URL('./verifier.ts', import.meta.url), args);
  }),
);
const reports: (SelfReport | undefined)[] = VARIANTS.map(() => undefined);
let up = 0;
children.forEach((child, i) => {
  child.on('message', (message: FromVerifier) => {
    if (message.type === 'ready') up++;
    else if (message.type === 'done') reports[i] = message.report;
    else {
      for (const sighting of message.sightings) checker.check(i, sighting);
      for (const arrival of message.arrivals) checker.arrive(i, arrival);
    }
  });
});
/** Key servers and proxies live in this process: while it lacks a processor they are out, although the plan says nothing. */
const pulse = new Pulse((at) => world.stalls.push(at));

const faults: Record<string, number> = {};
const disturbances: Promise<void>[] = [];
const count = (name: string): number => (faults[name] = (faults[name] ?? 0) + 1);

function happen(what: Happening): void {
  if (what.do === 'issue') issue(what.key);
  else if (what.do === 'expire') issue(what.key, Date.now() + what.inMs);
  else if (what.do === 'network' || what.do === 'attack') {
    const proxy = proxies[what.verifier];
    if (proxy !== undefined) disturbances.push(what.do === 'network' ? cut(proxy, what) : besiege(proxy, what));
  } else if (what.do === 'server' || what.do === 'stop') {
    const server = servers[what.server];
    if (server !== undefined) disturbances.push(disturb(server, what));
  } else if (what.do === 'outage') disturbances.push(blackOut(what));
  else {
    for (const server of servers) {
      if (what.do === 'forget') server.forget(keyOf(what.key));
      else if (issued.has(what.key)) server.revoke(keyOf(what.key));
    }
    if (what.do === 'forget') issued.delete(what.key);
    truth.note(what.key, false);
    if (what.do === 'revoke and tell') for (const child of children) child.send({ type: 'forget', key: what.key });
  }
}

async function cut(proxy: Proxy, { fault, ms, verifier }: Extract<Happening, { do: 'network' }>): Promise<void> {
  count(`network: ${fault.kind}`);
  const end = world.fault(verifier, 'partial');
  proxy.fault = fault;
  await sleep(ms);
  if (proxy.fault === fault) proxy.fault = undefined;
  end();
}

async function besiege({ firewall }: Proxy, { attack, ms }: Extract<Happening, { do: 'attack' }>): Promise<void> {
  count(`attack: ${attack}`);
  firewall.attack = attack;
  await sleep(ms);
  firewall.attack = undefined;
}

async function blackOut({ fault, ms }: Extract<Happening, { do: 'outage' }>): Promise<void> {
  count(`outage: ${fault}`);
  const end = world.fault(undefined, 'outage');
  await Promise.all(proxies.map(async (proxy) => await proxy.begin(fault)));
  await sleep(ms);
  await Promise.all(proxies.map(async (proxy) => await proxy.end()));
  end();
}

async function disturb(server: KeyServer, what: Extract<Happening, { do: 'server' | 'stop' }>): Promise<void> {
  const fault = what.do === 'stop' ? undefined : what.fault;
  count(fault === undefined ? 'server: restart' : `server: ${fault.kind}${statusOf(fault)}`);
  const end = world.fault(undefined, fault !== undefined && isAnswer(fault) ? 'answer' : 'partial');
  if (fault === undefined) await server.stop();
  else server.injectFault(fault);
  await sleep(what.ms);
  if (fault === undefined) await server.start();
  else server.clearFaults();
  end();
}

const statusOf = (fault: Fault): string => ('status' in fault ? ` ${String(fault.status)}` : '');
const ANSWERS = new Set<Fault['kind']>([
  'redirect',
  'html',
  'truncated-json',
  'wrong-shape',
  'huge-body',
  'wrong-content-type',
]);
const isAnswer = (fault: Fault): boolean => ANSWERS.has(fault.kind) || (fault.kind === 'status' && fault.status < 500);

// Until every verifier has come up and found its pace, all is well.
for (let waitedMs = 0; up < children.length && waitedMs < START_MS; waitedMs += 50) await sleep(50);
await sleep(1_000);
const startedAt = world.begin();
for (const child of children) child.send({ type: 'begin', at: startedAt });
for (const what of happenings) {
  const wait = startedAt + what.atMs - Date.now();
  if (wait > 0) await sleep(wait);
  happen(what);
}
await sleep(Math.max(0, startedAt + seconds * 1000 - Date.now()));
for (const child of children) child.send({ type: 'stop' });
const codes = await Promise.all(children.map(async (child) => await ended(child, 10_000)));

/** An attempt is waited for beside the next one, and the control question has a connection of its own. */
const mostRequests = ({ maxConcurrency, retries }: (typeof VARIANTS)[number]): number =>
  maxConcurrency * (1 + retries) + 1;

for (const [i, variant] of VARIANTS.entries()) {
  const report = reports[i];
  const wrong = (kind: string, sample?: unknown): void => violations.add(i, kind, sample);
  checkControls(i, proxies[i]?.controls ?? [], world, violations);
  if (report === undefined || codes[i] !== 0) {
    wrong('process: it did not end by itself and in order', codes[i]);
    continue;
  }
  for (const call of report.late) wrong('6: a caller waited past the deadline', call);
  for (const error of report.thrown) wrong('10: verify() threw', error);
  for (const reason of report.unhandled) wrong('10: an unhandled rejection', reason);
  if (report.mostInFlight > mostRequests(variant) || report.mostAsking > variant.maxConcurrency)
    wrong('5: more calls than maxConcurrency', report);
  if (report.leftBehind.length > 0) wrong('process: left behind at close', report.leftBehind);
}
pulse.stop();
// A server that is to come back would come back after its end.
await Promise.all(disturbances);
for (const proxy of proxies) proxy.close();
for (const server of servers) await server.close();

const sum = (of: (report: SelfReport) => number): number =>
  reports.reduce((total, report) => total + (report === undefined ? 0 : of(report)), 0);
const quantiles = (times: readonly number[]): Record<string, number> => {
  const sorted = Float64Array.from(times).sort();
  return { count: sorted.length, median: percentile(sorted, 0.5), maximum: percentile(sorted, 1) };
};
const openings = checker.openings();
await publish('chaos', {
  // A name, not a number.
  seed: String(seed),
  seconds,
  verifiers: VARIANTS.map(({ name }) => name),
  'changes to keys': happenings.filter(({ do: what }) => /issue|revoke|forget|expire/.test(what)).length,
  faults,
  'faults in all': Object.values(faults).reduce((a, b) => a + b, 0),
  calls: sum(({ calls }) => calls),
  'callers who left': sum(({ left }) => left),
  'results checked': checker.checked,
  'of those, in calm, when each has to be fresh': checker.calm,
  'of those, checked without the rules about time, since the verifier got no processor time just then': checker.excused,
  'moments in which the servers got no processor time': world.stalls.length,
  results: checker.results,
  'callers with a valid new key, without an outage, until they were let in, ms': quantiles(checker.arrivals),
  'first fail-open in an outage, ms': quantiles(openings),
  'requests that reached a server': servers.reduce((total, { counts }) => total + counts.requests, 0),
  'control questions, per verifier': proxies.map(({ controls }) => controls.length),
  'most requests in flight, per verifier': reports.map((report) => report?.mostInFlight),
  'most requests that its options allow, per verifier': VARIANTS.map(mostRequests),
  violations: violations.total,
  'violations by kind': violations.byKind,
});
console.table(violations.table);
for (const sample of violations.samples) console.error(sample);
if (violations.total > 0 || checker.checked === 0) process.exitCode = 1;
