import type { Fault } from 'keyverify/testing';

import { Random } from '../lib/random.js';
import type { NetworkFault, Outage } from './proxy.js';
import { ATTACKS, ISSUED, RECOVERY, REVOKED, VARIANTS, type Attack } from './wire.js';

/** One thing that happens, `atMs` after the start. Faults end by themselves: each says how long it lasts. */
export type Happening = { readonly atMs: number } & (
  | { readonly do: 'issue' | 'revoke' | 'revoke and tell' | 'forget'; readonly key: number }
  | { readonly do: 'expire'; readonly key: number; readonly inMs: number }
  | { readonly do: 'network'; readonly verifier: number; readonly fault: NetworkFault; readonly ms: number }
  | { readonly do: 'server'; readonly server: number; readonly fault: Fault; readonly ms: number }
  | { readonly do: 'stop'; readonly server: number; readonly ms: number }
  | { readonly do: 'outage'; readonly fault: Outage; readonly ms: number }
  | { readonly do: 'attack'; readonly verifier: number; readonly attack: Attack; readonly ms: number }
);

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  /** From when on every key must get a fresh verdict, up to the next phase. */
  readonly calmFromMs: number;
  readonly endMs: number;
}

/** A real outage for everybody; an attack on a server that is well; faults of single servers and lines. */
export type Phase = Span &
  (
    | { readonly kind: 'outage'; readonly fault: Outage; readonly quiet: boolean }
    | { readonly kind: 'siege'; readonly attacks: readonly Attack[]; readonly revoked: number }
    | { readonly kind: 'storm' }
  );

export const SERVERS = 2;
const SIEGE_MS = 8_000;
const STORM_MS = 6_000;
/** Long enough for every outage to open. */
const SHORTEST_OUTAGE_MS = 1_800;
const LONG_OUTAGE_MS = 11_000;
/** How long a pause, a breaker or a deadline that a siege or a storm caused may go on after it. */
const SETTLE_MS = 3_500;
const CALM_MS = 1_500;
/** How long into a siege its key is revoked. */
const REVOKE_AFTER_MS = 1_000;

const OUTAGES: readonly Outage[] = ['gone', 'reset', 'black-hole', 'unavailable'];
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

/** The phases of a run, by its seed alone. The last one ends with the run. */
export function phases(seed: number, seconds: number): Phase[] {
  const random = new Random(seed);
  const all: Phase[] = [];
  const attacks = shuffled(ATTACKS, random);
  const outages = shuffled(OUTAGES, random);
  const runMs = seconds * 1000;
  for (let i = 0, fromMs = 500; fromMs < runMs; i++) {
    const round = Math.floor(i / 3);
    const phase = [outage, siege, storm][i % 3]?.(round, fromMs);
    if (phase === undefined) break;
    all.push({ ...phase, endMs: Math.min(phase.endMs, runMs) });
    fromMs = phase.endMs;
  }
  return all;

  function outage(round: number, fromMs: number): Phase {
    const isLong = round % 3 === 2;
    const toMs = fromMs + (isLong ? LONG_OUTAGE_MS : random.between(SHORTEST_OUTAGE_MS, round === 0 ? 2_000 : 4_000));
    const calmFromMs = toMs + (isLong ? RECOVERY.longMs : RECOVERY.shortMs);
    const fault = outages[round % outages.length] ?? 'gone';
    return { kind: 'outage', fault, quiet: round % 2 === 1, fromMs, toMs, calmFromMs, endMs: calmFromMs + CALM_MS };
  }

  function siege(round: number, fromMs: number): Phase {
    // Somebody is poisoned in each siege; beside that, every verifier goes through all attacks in turn.
    const poisoned = (round + 1) % VARIANTS.length;
    const rotated = (i: number): Attack => attacks[(round * 2 + i) % attacks.length] ?? 'poison';
    const each = VARIANTS.map((_, i) => (i === poisoned ? 'poison' : rotated(i)));
    return { kind: 'siege', attacks: each, revoked: REVOKED + round, ...span(fromMs, SIEGE_MS) };
  }

  function storm(_: number, fromMs: number): Phase {
    return { kind: 'storm', ...span(fromMs, STORM_MS) };
  }
}

function span(fromMs: number, ms: number): Span {
  const calmFromMs = fromMs + ms + SETTLE_MS;
  return { fromMs, toMs: fromMs + ms, calmFromMs, endMs: calmFromMs + CALM_MS };
}

function shuffled<T>(from: readonly T[], random: Random): T[] {
  return from
    .map((item) => ({ item, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

/** All that happens in a run, by its seed alone. */
export function plan(seed: number, seconds: number): Happening[] {
  const random = new Random(seed + 1);
  const happenings: Happening[] = [];
  const endMs = seconds * 1000;
  for (let atMs = 0; atMs < endMs; atMs += random.between(10, 60)) {
    const key = random.between(0, ISSUED);
    const change = random.pick(['issue', 'issue', 'issue', 'revoke', 'revoke and tell', 'forget', 'expire'] as const);
    if (change === 'expire') happenings.push({ atMs, do: change, key, inMs: random.between(20, 2_000) });
    else happenings.push({ atMs, do: change, key });
  }
  for (const phase of phases(seed, seconds)) {
    const { fromMs: atMs, toMs } = phase;
    if (phase.kind === 'outage') happenings.push({ atMs, do: 'outage', fault: phase.fault, ms: toMs - atMs });
    else if (phase.kind === 'siege') {
      happenings.push({ atMs: atMs - 500, do: 'issue', key: phase.revoked });
      happenings.push({ atMs: atMs + REVOKE_AFTER_MS, do: 'revoke', key: phase.revoked });
      phase.attacks.forEach((attack, verifier) =>
        happenings.push({ atMs, do: 'attack', verifier, attack, ms: toMs - atMs }),
      );
    } else {
      for (let start = atMs; start < toMs - 500; start += random.between(50, 500))
        happenings.push({ atMs: start, ...fault(random, Math.min(random.between(100, 2_000), toMs - start)) });
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
