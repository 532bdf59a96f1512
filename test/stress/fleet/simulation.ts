import { KeyVerifier, type Exchange, type SharedCache, type Transport, type WireRequest } from 'keyverify';
import { memoryFleet, type MemoryFleet } from 'keyverify/testing';

import { Random } from '../lib/random.js';
import { SimulatedClock, TICK_MS } from '../recovery/simulation.js';

/** How long the key server takes to answer, in milliseconds. */
const ANSWER_MS = 10;
const TENANTS = 100;

/** First uses are spread over so many TTLs, few at the beginning and at the end: so refreshes are spread evenly later. */
const RAMP_TTLS = 3;
const SETTLED_TTLS = 3.2;
/** The last ones of these, before what is measured, see all the traffic; before, a tenth will do. */
const BUSY_TTLS = 1.3;
const EARLY_TRAFFIC = 0.1;

/** The way to the store. */
interface Store {
  isDown: boolean;
}

export interface FleetScenario {
  readonly verifiers: number;
  readonly keys: number;
  /** Calls of `verify()` per second and verifier. */
  readonly callsPerSecond: number;
  readonly cacheTtlMs: number;
  /** How long what is measured is, in seconds. */
  readonly measureSeconds: number;
  /** What happens then; without it, nothing is shared. */
  readonly event?:
    | ((fleet: MemoryFleet, by: { readonly store: Store; readonly sleep: (ms: number) => Promise<void> }) => unknown)
    | undefined;
}

/** Requests per second to the key server. */
export interface FleetLoad {
  readonly steady: number;
  readonly most: number;
  readonly worst: number;
  readonly worstAfter: number;
}

class Server implements Transport {
  readonly perSecond: number[] = [];
  readonly #clock: SimulatedClock;

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  send({ body = '' }: WireRequest): Exchange {
    const second = Math.floor(this.#clock.now / 1000);
    this.perSecond[second] = (this.perSecond[second] ?? 0) + 1;
    const number = Number(/sk-(\d+)/.exec(body)?.[1] ?? 0);
    const json = JSON.stringify({ valid: true, client: 'acme', tenant: `cust-${number % TENANTS}` });
    const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
    const response = new Promise<Awaited<Exchange['response']>>((resolve) => {
      this.#clock.after(ANSWER_MS, () => resolve({ status: 200, header, body: new TextEncoder().encode(json) }));
    });
    return { response, abort: () => undefined };
  }
}

function reachable(cache: SharedCache, store: Store): SharedCache {
  const guard = async <T>(work: () => Promise<T>): Promise<T> =>
    store.isDown ? await Promise.reject(new Error('down')) : await work();
  return {
    fleet: cache.fleet,
    get: async (...args) => await guard(async () => await cache.get(...args)),
    put: async (...args) => await guard(async () => await cache.put(...args)),
    lease: async (...args) => await guard(async () => await cache.lease(...args)),
  };
}

export async function simulateFleet(scenario: FleetScenario): Promise<FleetLoad> {
  const { verifiers, keys, callsPerSecond, cacheTtlMs, measureSeconds, event } = scenario;
  const clock = new SimulatedClock();
  const server = new Server(clock);
  const shared = memoryFleet({ clock });
  const store = { isDown: false };
  const fleet = Array.from({ length: verifiers }, (_, i) => {
    const random = new Random(i + 1);
    const verifier = new KeyVerifier({
      verifyUrl: 'http://localhost/',
      serviceToken: 'service-token',
      transport: server,
      clock,
      cacheTtlMs,
      random: () => random.next(),
      logger: { warn: () => undefined },
      ...(event !== undefined && {
        sharedCache: reachable(shared.sharedCache, store),
        revocations: shared.revocations,
      }),
    });
    return { verifier, traffic: new Random(1_000 + i) };
  });
  const ttl = cacheTtlMs / 1000;
  const from = Math.ceil(SETTLED_TTLS * ttl);
  const to = from + measureSeconds;
  const calls = (callsPerSecond * TICK_MS) / 1000;
  const sleep = async (ms: number): Promise<void> => await new Promise((resolve) => void clock.after(ms, resolve));
  let happened: unknown;
  while (clock.now < to * 1000) {
    if (happened === undefined && clock.now >= from * 1000)
      happened = Promise.resolve(event?.(shared, { store, sleep }));
    const ramp = Math.min(1, clock.now / (RAMP_TTLS * cacheTtlMs));
    const inUse = Math.min(keys, Math.ceil((ramp - Math.sin(2 * Math.PI * ramp) / (2 * Math.PI)) * keys) + 1);
    const share = clock.now < (from - BUSY_TTLS * ttl) * 1000 ? EARLY_TRAFFIC : 1;
    for (const { verifier, traffic } of fleet)
      for (let left = calls * share; left > 0; left--)
        if (traffic.chance(left)) void verifier.verify(`sk-${traffic.between(0, inUse)}`);
    await clock.tick();
  }
  await happened;
  const load = Array.from({ length: to }, (_, second) => server.perSecond[second] ?? 0);
  // One whole TTL, so that every phase of the refreshes counts.
  const before = load.slice(from - Math.ceil(ttl), from);
  const worst = Math.max(...load.slice(from));
  return {
    steady: before.reduce((a, b) => a + b, 0) / before.length,
    most: Math.max(...before),
    worst,
    worstAfter: load.indexOf(worst, from) - from,
  };
}
