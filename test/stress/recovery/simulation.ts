import { KeyVerifier, type Clock, type Exchange, type Transport } from 'keyverify';

import { Random } from '../lib/random.js';

/** How far the clock goes at a time, in milliseconds. */
const TICK_MS = 10;
/** How long the key server takes to answer, and the network to say that it isn't there. */
const ANSWER_MS = 10;

/** Time for everybody in the simulation. It goes on in ticks, and promises settle between two of them. */
class SimulatedClock implements Clock {
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

/** Counts the requests of each second, also of those in which it is out. */
class SimulatedServer implements Transport {
  up = true;
  readonly perSecond: number[] = [];
  readonly #clock: SimulatedClock;
  readonly #verdict = new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A"}');

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  send(): Exchange {
    const second = Math.floor(this.#clock.now / 1000);
    this.perSecond[second] = (this.perSecond[second] ?? 0) + 1;
    const { up } = this;
    const response = new Promise<Awaited<Exchange['response']>>((resolve, reject) => {
      const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
      this.#clock.after(ANSWER_MS, () => {
        if (up) resolve({ status: 200, header, body: this.#verdict });
        else reject(new Error('connection refused'));
      });
    });
    return { response, abort: () => undefined };
  }
}

export interface Scenario {
  readonly verifiers: number;
  readonly keysEach: number;
  /** How often each verifier is called, per second. */
  readonly callsASecond: number;
  readonly outageSeconds: number;
  readonly jitter: boolean;
}

/** Until then everybody has met their keys, and the refreshes have found their pace. */
const SETTLED_S = 700;
const MEASURED_S = 100;
const AFTER_S = 120;
/** A key is refreshed once in so many seconds: at nine tenths of a TTL that chance shortens by 5 % on average, and a call. */
const PERIOD_S = 258;

export interface Curve {
  /** Requests a second before the outage. */
  readonly steady: number;
  /** In any second before the outage. */
  readonly most: number;
  readonly firstSecond: number;
  /** In any second after the outage, and which one: 0 is the first. */
  readonly worst: number;
  readonly worstAfter: number;
  /** From `MEASURED_S` before the outage on. */
  readonly perSecond: readonly number[];
  readonly outageFrom: number;
  readonly outageTo: number;
}

export async function simulate(scenario: Scenario): Promise<Curve> {
  const { verifiers, keysEach, callsASecond, outageSeconds, jitter } = scenario;
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
    // Met over one period, at any moment of it, as keys are that have been in use for long.
    const metAt = Array.from({ length: keysEach }, () => traffic.next() * PERIOD_S * 1000);
    return { verifier, traffic, metAt };
  });

  const from = SETTLED_S;
  const to = from + outageSeconds;
  const calls = (callsASecond * TICK_MS) / 1000;
  while (clock.now < (to + AFTER_S) * 1000) {
    const second = clock.now / 1000;
    server.up = second < from || second >= to;
    for (const { verifier, traffic, metAt } of fleet) {
      if (!traffic.chance(calls)) continue;
      const key = traffic.between(0, keysEach);
      if (clock.now >= (metAt[key] ?? 0)) void verifier.verify(`sk-${key}`);
    }
    await clock.tick();
  }

  const load = Array.from({ length: to + AFTER_S }, (_, second) => server.perSecond[second] ?? 0);
  const before = load.slice(from - MEASURED_S, from);
  const worst = Math.max(...load.slice(to));
  return {
    steady: before.reduce((a, b) => a + b, 0) / before.length,
    most: Math.max(...before),
    firstSecond: load[to] ?? NaN,
    worst,
    worstAfter: load.indexOf(worst, to) - to,
    perSecond: load.slice(from - MEASURED_S),
    outageFrom: MEASURED_S,
    outageTo: MEASURED_S + outageSeconds,
  };
}
