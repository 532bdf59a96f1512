import { mkdirSync, writeFileSync } from 'node:fs';

import { numbers, publish } from '../lib/figures.js';
import { draw } from './svg.js';
import { simulate, type Curve } from './simulation.js';

const { verifiers, keysEach, callsASecond, outage } = numbers({
  verifiers: 200,
  keysEach: 50,
  callsASecond: 25,
  outage: 60,
});
const scenario = { verifiers, keysEach, callsASecond, outageSeconds: outage };
const jittered = await simulate({ ...scenario, jitter: true });
const plain = await simulate({ ...scenario, jitter: false });

const told = ({ steady, firstSecond, peak }: Curve) => ({
  'steady requests a second': Number(steady.toFixed(1)),
  'requests in the first second': firstSecond,
  'first second to steady': Number((firstSecond / steady).toFixed(2)),
  'most requests in any second after': peak,
  'most to steady': Number((peak / steady).toFixed(2)),
});
publish('recovery', {
  'simulated: clock, network and key server; real: all of the library': scenario,
  'with jitter': told(jittered),
  'without jitter (chance is always 0)': told(plain),
});
if (process.argv.includes('--save')) {
  const folder = new URL('../../../docs/figures/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('recovery.svg', folder), draw(jittered, plain));
}
if (jittered.firstSecond >= 2 * jittered.steady) {
  console.error('the first second was more than twice the steady load');
  process.exitCode = 1;
}
