import type { Fault } from 'keyverify/testing';

import { Random } from '../lib/random.js';
import type { NetworkFault } from './proxy.js';
import { ISSUED, VARIANTS } from './wire.js';

/** One thing that happens, `atMs` after the start. Storms end by themselves: each fault says how long it lasts. */
export type Happening = { readonly atMs: number } & (
  | { readonly do: 'issue' | 'revoke' | 'revoke and tell' | 'forget'; readonly key: number }
  | { readonly do: 'expire'; readonly key: number; readonly inMs: number }
  | { readonly do: 'network'; readonly verifier: number; readonly fault: NetworkFault; readonly ms: number }
  | { readonly do: 'server'; readonly server: number; readonly fault: Fault; readonly ms: number }
  | { readonly do: 'stop'; readonly server: number; readonly ms: number }
);

export const SERVERS = 2;
export const CYCLE_MS = 15_000;
const STORM_MS = 8_000;
/** When the last fault of a storm is over, and the last breaker, cool-down and deadline that it caused. */
const CALM_FROM_MS = STORM_MS + 3_500;

/** Whether all has been well for so long that every key must get its verdict. Times are since the start. */
export function isCalm(fromMs: number, toMs: number): boolean {
  return fromMs % CYCLE_MS >= CALM_FROM_MS && Math.floor(fromMs / CYCLE_MS) === Math.floor(toMs / CYCLE_MS);
}

const SERVER_FAULTS: readonly Fault[] = [
  { kind: 'hang' },
  { kind: 'delay', ms: 150 },
  { kind: 'reset-before-headers' },
  { kind: 'reset-after-headers' },
  { kind: 'close-mid-body' },
  { kind: 'drip', intervalMs: 5 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, retryAfter: 1 },
  { kind: 'status', status: 429, retryAfter: 1 },
  { kind: 'status', status: 401 },
  { kind: 'status', status: 404 },
  { kind: 'redirect', location: 'http://127.0.0.1:9/' },
  { kind: 'html' },
  { kind: 'truncated-json' },
  { kind: 'wrong-shape' },
  { kind: 'huge-body', bytes: 200_000 },
  { kind: 'wrong-content-type' },
];
const NETWORK_FAULTS: readonly NetworkFault[] = [
  { kind: 'refuse' },
  { kind: 'cut' },
  { kind: 'black-hole' },
  { kind: 'corrupt' },
  { kind: 'delay', ms: 50 },
  { kind: 'delay', ms: 300 },
  { kind: 'drip', ms: 1 },
];

/** All that happens in a run, by its seed alone. */
export function plan(seed: number, seconds: number): Happening[] {
  const random = new Random(seed);
  const happenings: Happening[] = [];
  const endMs = seconds * 1000;
  for (let atMs = 0; atMs < endMs; atMs += random.between(10, 60)) {
    const key = random.between(0, ISSUED);
    const change = random.pick(['issue', 'issue', 'issue', 'revoke', 'revoke and tell', 'forget', 'expire'] as const);
    if (change === 'expire') happenings.push({ atMs, do: change, key, inMs: random.between(20, 2_000) });
    else happenings.push({ atMs, do: change, key });
  }
  for (let cycle = 0; cycle < endMs; cycle += CYCLE_MS) {
    for (let atMs = 500; atMs < STORM_MS - 500; atMs += random.between(50, 500)) {
      const ms = Math.min(random.between(100, 2_000), STORM_MS - atMs);
      happenings.push({ atMs: cycle + atMs, ...fault(random, ms) });
    }
  }
  return happenings.filter(({ atMs }) => atMs < endMs).sort((a, b) => a.atMs - b.atMs);
}

function fault(random: Random, ms: number) {
  const server = random.between(0, SERVERS);
  if (random.chance(0.2)) return { do: 'stop', server, ms } as const;
  if (random.chance(0.5)) return { do: 'server', server, fault: random.pick(SERVER_FAULTS), ms } as const;
  return {
    do: 'network',
    verifier: random.between(0, VARIANTS.length),
    fault: random.pick(NETWORK_FAULTS),
    ms,
  } as const;
}
