import { writeDoc } from '../../../tools/pages.js';
import { lines } from '../../../tools/svg.js';
import { numbers, publish } from '../lib/figures.js';
import { simulate, type Curve } from './simulation.js';

const scenario = numbers({ verifiers: 200, keysEach: 50, callsPerSecond: 25 });
/** After a short outage the load is deferred refreshes, after a long one it is breakers that close. */
const OUTAGES_S = [10, 20, 60];

const ratios = ({ steady, firstSecond, controls, worst, worstAfter }: Curve) => ({
  'first second / steady load': Number((firstSecond / steady).toFixed(2)),
  'control questions in it / steady load': Number((controls / steady).toFixed(2)),
  'worst second / steady load': Number((worst / steady).toFixed(2)),
  'which second is the worst': worstAfter + 1,
});
const loads: Record<string, unknown> = {};
const curves: { readonly seconds: number; readonly jittered: Curve; readonly plain: Curve }[] = [];
for (const outageSeconds of OUTAGES_S) {
  const jittered = await simulate({ ...scenario, outageSeconds, jitter: true });
  const plain = await simulate({ ...scenario, outageSeconds, jitter: false });
  curves.push({ seconds: outageSeconds, jittered, plain });
  loads[`${outageSeconds} s, with jitter`] = ratios(jittered);
  loads[`${outageSeconds} s, without jitter`] = ratios(plain);
}
const [{ jittered: { steady, most } } = { jittered: { steady: NaN, most: NaN } }] = curves;
await publish('recovery', {
  verifiers: scenario.verifiers,
  'keys of each': scenario.keysEach,
  'calls per second of each': scenario.callsPerSecond,
  'steady requests per second': Number(steady.toFixed(1)),
  'most requests in any second before the outage': most,
  'Load after an outage': loads,
});
if (process.argv.includes('--save')) {
  for (const { seconds, jittered, plain } of curves) {
    const { perSecond, outageFrom: from, outageTo: to, steady } = jittered;
    const chart = lines(
      `Questions about keys per second around an outage of ${seconds} s`,
      [
        { name: 'with jitter', values: perSecond },
        { name: 'without jitter', values: plain.perSecond },
      ],
      { name: 'outage', from, to },
      { name: '2 × steady', value: 2 * steady },
    );
    await writeDoc(`figures/recovery-${seconds}s.svg`, chart);
  }
}
for (const { seconds, jittered } of curves) {
  if (jittered.firstSecond < 2 * jittered.steady) continue;
  console.error(`after an outage of ${seconds} s the first second was more than twice the steady load`);
  process.exitCode = 1;
}
