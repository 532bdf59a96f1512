import { KeyVerifier, type Exchange, type Transport, type WireRequest } from 'keyverify';
import { memoryFleet, type MemoryFleet } from 'keyverify/testing';

import { Random } from '../lib/random.js';
import { SimulatedClock, TICK_MS } from '../recovery/simulation.js';

/** How long the key server takes to answer, in milliseconds. */
const ANSWER_MS = 10;
const TENANTS = 100;

export interface FleetScenario {
  readonly verifiers: number;
  readonly keys: number;
  /** Calls of `verify()` per second and verifier. */
  readonly callsPerSecond: number;
  readonly cacheTtlMs: number;
  /** How long it runs before what is measured, and how long that is, in seconds. */
  readonly settleSeconds: number;
  readonly measureSeconds: number;
  /** What happens then; without it, nothing is shared. */
  readonly event?: ((fleet: MemoryFleet) => unknown) | undefined;
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

export async function simulateFleet(scenario: FleetScenario): Promise<FleetLoad> {
  const { verifiers, keys, callsPerSecond, cacheTtlMs, settleSeconds, measureSeconds, event } = scenario;
  const clock = new SimulatedClock();
  const server = new Server(clock);
  const shared = memoryFleet({ clock });
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
      ...(event !== undefined && shared),
    });
    return { verifier, traffic: new Random(1_000 + i) };
  });
  const from = settleSeconds;
  const to = from + measureSeconds;
  const calls = (callsPerSecond * TICK_MS) / 1000;
  let happened = false;
  while (clock.now < to * 1000) {
    if (!happened && clock.now >= from * 1000) {
      happened = true;
      await event?.(shared);
    }
    // First uses are spread over one TTL, as if the keys had been in use for long.
    const inUse = Math.min(keys, Math.ceil((clock.now / cacheTtlMs) * keys) + 1);
    for (const { verifier, traffic } of fleet)
      for (let left = calls; left > 0; left--)
        if (traffic.chance(left)) void verifier.verify(`sk-${traffic.between(0, inUse)}`);
    await clock.tick();
  }
  const load = Array.from({ length: to }, (_, second) => server.perSecond[second] ?? 0);
  // One whole TTL, so that every phase of the refreshes counts.
  const before = load.slice(from - Math.ceil(cacheTtlMs / 1000), from);
  const worst = Math.max(...load.slice(from));
  return {
    steady: before.reduce((a, b) => a + b, 0) / before.length,
    most: Math.max(...before),
    worst,
    worstAfter: load.indexOf(worst, from) - from,
  };
}
