import { mkdirSync, writeFileSync } from 'node:fs';

import { numbers, publish } from '../lib/figures.js';
import { draw } from './svg.js';
import { simulate, type Curve } from './simulation.js';

const scenario = numbers({ verifiers: 200, keysEach: 50, callsASecond: 25 });
/** In a short outage few breakers open, and what comes back is refreshes; in a long one it is breakers that close. */
const OUTAGES_S = [10, 20, 60];

const told = ({ steady, firstSecond, worst, worstAfter }: Curve) => ({
  'first second to steady': Number((firstSecond / steady).toFixed(2)),
  'worst second to steady': Number((worst / steady).toFixed(2)),
  'which is second': worstAfter + 1,
});
const figures: Record<string, unknown> = {
  'simulated: clock, network and key server; real: all of the library': scenario,
};
const curves: { readonly seconds: number; readonly jittered: Curve; readonly plain: Curve }[] = [];
for (const outageSeconds of OUTAGES_S) {
  const jittered = await simulate({ ...scenario, outageSeconds, jitter: true });
  const plain = await simulate({ ...scenario, outageSeconds, jitter: false });
  curves.push({ seconds: outageSeconds, jittered, plain });
  const { steady, most } = jittered;
  figures['steady requests a second, and the most in any second before the outage'] = [Number(steady.toFixed(1)), most];
  figures[`after an outage of ${outageSeconds} s, with jitter`] = told(jittered);
  figures[`after an outage of ${outageSeconds} s, without jitter (chance is always 0)`] = told(plain);
}
await publish('recovery', figures);
if (process.argv.includes('--save')) {
  const folder = new URL('../../../docs/figures/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const { seconds, jittered, plain } of curves)
    writeFileSync(new URL(`recovery-${seconds}s.svg`, folder), draw(jittered, plain));
}
for (const { seconds, jittered } of curves) {
  if (jittered.firstSecond < 2 * jittered.steady) continue;
  console.error(`after an outage of ${seconds} s the first second was more than twice the steady load`);
  process.exitCode = 1;
}
