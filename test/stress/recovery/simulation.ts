import { KeyVerifier, TransportError, type Clock, type Exchange, type Transport, type WireRequest } from 'keyverify';

import { Random } from '../lib/random.js';

/** The step of the clock, in milliseconds. */
export const TICK_MS = 10;
/** How long the key server takes to answer, and the network to refuse a connection, in milliseconds. */
const ANSWER_MS = 10;

/** The clock of the simulation. It advances in ticks; promises settle between two of them. */
export class SimulatedClock implements Clock {
  now = 0;
  readonly #timers = new Map<number, Set<() => void>>();

  wall(): number {
    return this.now;
  }

  monotonic(): number {
    return this.now;
  }

  after(ms: number, run: () => void): () => void {
    const due = this.now + Math.max(TICK_MS, Math.ceil(ms / TICK_MS) * TICK_MS);
    const timers = this.#timers.get(due) ?? new Set();
    this.#timers.set(due, timers.add(run));
    return () => timers.delete(run);
  }

  async tick(): Promise<void> {
    this.now += TICK_MS;
    const due = this.#timers.get(this.now);
    this.#timers.delete(this.now);
    for (const run of due ?? []) run();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Counts the questions of each second, during an outage too: about callers' keys, and control questions. */
class SimulatedServer implements Transport {
  up = true;
  readonly perSecond: number[] = [];
  readonly controls: number[] = [];
  readonly #clock: SimulatedClock;
  readonly #verdict = new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A"}');

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  send({ body }: WireRequest): Exchange {
    const second = Math.floor(this.#clock.now / 1000);
    const counts = body?.includes('keyverify-control-') === true ? this.controls : this.perSecond;
    counts[second] = (counts[second] ?? 0) + 1;
    const { up } = this;
    const response = new Promise<Awaited<Exchange['response']>>((resolve, reject) => {
      const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
      this.#clock.after(ANSWER_MS, () => {
        if (up) resolve({ status: 200, header, body: this.#verdict });
        else reject(new TransportError('unreachable', 'connection refused', { unconnected: true }));
      });
    });
    return { response, abort: () => undefined };
  }
}

export interface Scenario {
  readonly verifiers: number;
  readonly keysEach: number;
  /** Calls of `verify()` per second and verifier. */
  readonly callsPerSecond: number;
  readonly outageSeconds: number;
  readonly jitter: boolean;
}

/** By then every verifier has cached its keys, and the refreshes are spread evenly. */
const SETTLED_S = 700;
const MEASURED_S = 100;
const AFTER_S = 120;
/** The mean time between two refreshes of a key: 90 % of a TTL that jitter shortens by 5 % on average. */
const REFRESH_PERIOD_S = 258;

export interface Curve {
  /** Questions about keys per second before the outage. */
  readonly steady: number;
  /** The most requests in any second before the outage. */
  readonly most: number;
  readonly firstSecond: number;
  /** The most requests in any second after the outage, and which second that is, from 0. */
  readonly worst: number;
  readonly worstAfter: number;
  /** Control questions in the first second after the outage: none of them is about a caller's key. */
  readonly controls: number;
  /** Starts `MEASURED_S` seconds before the outage. */
  readonly perSecond: readonly number[];
  readonly outageFrom: number;
  readonly outageTo: number;
}

export async function simulate(scenario: Scenario): Promise<Curve> {
  const { verifiers, keysEach, callsPerSecond, outageSeconds, jitter } = scenario;
  const clock = new SimulatedClock();
  const server = new SimulatedServer(clock);
  const fleet = Array.from({ length: verifiers }, (_, i) => {
    const random = new Random(i + 1);
    const verifier = new KeyVerifier({
      verifyUrl: 'http://localhost/',
      serviceToken: 'service-token',
      transport: server,
      clock,
      random: jitter ? () => random.next() : () => 0,
      logger: { warn: () => undefined },
    });
    const traffic = new Random(1_000 + i);
    // First uses are spread over one period, as if the keys had been in use for long.
    const firstUseAt = Array.from({ length: keysEach }, () => traffic.next() * REFRESH_PERIOD_S * 1000);
    return { verifier, traffic, firstUseAt };
  });

  const from = SETTLED_S;
  const to = from + outageSeconds;
  const calls = (callsPerSecond * TICK_MS) / 1000;
  let isNoticed = false;
  while (clock.now < (to + AFTER_S) * 1000) {
    const second = clock.now / 1000;
    if (second === to) isNoticed = fleet.some(({ verifier }) => verifier.stats().breaker !== 'closed');
    server.up = second < from || second >= to;
    for (const { verifier, traffic, firstUseAt } of fleet) {
      if (!traffic.chance(calls)) continue;
      const key = traffic.between(0, keysEach);
      if (clock.now >= (firstUseAt[key] ?? 0)) void verifier.verify(`sk-${key}`);
    }
    await clock.tick();
  }

  if (!isNoticed) throw new Error('no verifier took the outage for one');
  const load = Array.from({ length: to + AFTER_S }, (_, second) => server.perSecond[second] ?? 0);
  const before = load.slice(from - MEASURED_S, from);
  const worst = Math.max(...load.slice(to));
  return {
    steady: before.reduce((a, b) => a + b, 0) / before.length,
    most: Math.max(...before),
    firstSecond: load[to] ?? NaN,
    worst,
    worstAfter: load.indexOf(worst, to) - to,
    controls: server.controls[to] ?? 0,
    perSecond: load.slice(from - MEASURED_S),
    outageFrom: MEASURED_S,
    outageTo: MEASURED_S + outageSeconds,
  };
}
