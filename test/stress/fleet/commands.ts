import { numbers, publish } from '../lib/figures.js';
import { measureCosts } from './cost.js';
import { floodFleet } from './flood.js';
import { measureLags } from './lag.js';

/** `npm run stress fleet-cost`: what a shared hit costs, and a miss with a frozen Redis. */
export async function cost(): Promise<void> {
  const { rounds } = numbers({ rounds: 20_000 });
  await publish('fleet-cost', await measureCosts(rounds));
}

/** `npm run stress fleet-flood`: made-up keys write nothing to Redis. */
export async function flood(): Promise<void> {
  const { keys } = numbers({ keys: 1_000_000 });
  const { rejected, looks, names } = await floodFleet(keys);
  await publish('fleet-flood', { 'made-up keys': keys, rejected, looks, 'written to Redis': names.length });
  if (rejected !== keys || names.length > 0) process.exitCode = 1;
}

/** `npm run stress fleet-lag`: how long a revocation takes, and whether one is lost where something goes wrong each time. */
export async function lag(): Promise<void> {
  const { pollMs, rounds, disturbed } = numbers({ pollMs: 500, rounds: 100, disturbed: 20 });
  for (const way of ['redis', 'sse'] as const) {
    const calm = await measureLags(way, { pollMs, rounds });
    const rough = await measureLags(way, { pollMs, rounds: disturbed, disturb: true });
    await publish(`fleet-lag-${way}`, { pollMs, calm, 'after a disturbance each': rough });
    if (calm.lost > 0 || rough.lost > 0 || calm.p99 > (way === 'redis' ? pollMs + 200 : 250)) process.exitCode = 1;
  }
}
