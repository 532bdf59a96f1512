import { numbers, publish } from '../lib/figures.js';
import { simulateFleet, type FleetLoad, type FleetScenario } from './simulation.js';

const given = numbers({ verifiers: 50, keys: 10_000, callsPerSecond: 500, ttlSeconds: 300 });
const scenario = {
  ...given,
  cacheTtlMs: given.ttlSeconds * 1000,
  measureSeconds: Math.ceil(given.ttlSeconds * 0.6),
};

const EVENTS: Readonly<Record<string, FleetScenario['event']>> = {
  nothing: () => undefined,
  'Redis restarts empty': ({ sharedCache, revocations }) => {
    sharedCache.clear();
    revocations.gap();
  },
  'Redis is down for two seconds, and empty then': async ({ sharedCache, revocations }, { store, sleep }) => {
    store.isDown = true;
    await sleep(2_000);
    sharedCache.clear();
    store.isDown = false;
    revocations.gap();
  },
  'a gap': ({ revocations }) => revocations.gap(),
  'a whole tenant is revoked': async ({ revocations }) =>
    await revocations.publish({ type: 'revoked', select: { tenant: 'cust-7' } }),
};

const alone = await simulateFleet({ ...scenario, measureSeconds: 1 });
const table: Record<string, unknown> = {};
let failed = false;
for (const [name, event] of Object.entries(EVENTS)) {
  const load: FleetLoad = await simulateFleet({ ...scenario, event });
  const ratio = load.worst / load.steady;
  table[name] = {
    'steady requests per second': Number(load.steady.toFixed(1)),
    'worst second after it': load.worst,
    'which second': load.worstAfter + 1,
    'worst / steady': Number(ratio.toFixed(2)),
    'steady / steady without a shared cache': Number((load.steady / alone.steady).toFixed(4)),
  };
  failed ||= ratio > 3 || load.steady > alone.steady / 20;
  console.log(name, table[name]);
}
await publish('fleet', {
  verifiers: given.verifiers,
  keys: given.keys,
  'calls per second of each': given.callsPerSecond,
  cacheTtlMs: scenario.cacheTtlMs,
  'steady requests per second without a shared cache': Number(alone.steady.toFixed(1)),
  'Load on the key server': table,
});
if (failed) {
  console.error(
    'a second had more than 3 times the steady load, or that was more than 1/20 of the load without sharing',
  );
  process.exitCode = 1;
}
