import { duration, times } from './format.mjs';
import { median, quantile, ratio } from './paired.mjs';

const inverse = ({ value, low, high }) => ({ value: 1 / value, low: 1 / high, high: 1 / low });

const spread = (values) => ({ value: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) });

/** The median of what one case took longer than the other in the same round. */
const above = (over, under) => spread(over.map((value, round) => value - under[round]));

const most = (limit) => ({ target: `≤ ${limit}`, isMet: ({ value }) => value <= limit });
const least = (limit) => ({ target: `≥ ${limit}`, isMet: ({ value }) => value >= limit });

const between =
  (show) =>
  ({ value, low, high }) =>
    low === undefined ? show(value) : `${show(value)} (${show(low)} to ${show(high)})`;
const milliseconds = between((ms) => duration(ms * 1e6));
const nanoseconds = between(duration);

/** Our CPU time per request and that of each guard of the same framework that checks more than a list in memory. */
function serviceTargets({ rows }) {
  const own = rows.filter(({ guard }) => guard === 'keyverify');
  return own.map(({ framework, cpuUs }) => {
    const [next] = rows
      .filter((row) => row.framework === framework && row.kind === 'guard' && row.guard !== 'keyverify')
      .toSorted((a, b) => median(a.cpuUs) - median(b.cpuUs));
    return {
      figure: `CPU per guarded request, ${framework}: keyverify / the cheapest peer that verifies (${next.guard})`,
      measured: ratio(cpuUs, next.cpuUs),
      ...most(1),
      reason:
        'the request itself is most of both figures, so that what is left between the guards is less than the spread; see [CPU per request](#cpu-per-request).',
    };
  });
}

/** The targets, and whether this run met them. Each has the reason that is given where it was missed. */
export function targets({ hit, miss, stampede, outage, inject, service, fleet, scale, start }) {
  const { samples } = hit;
  const million = scale.find(({ size }) => size === 1_000_000);
  const verify = samples['keyverify: await verify()'];
  const verifyCached = samples['keyverify: verifyCached()'];
  const { p99s } = outage;
  const clocked = ratio(samples['floor and Date.now(), sync'], samples['floor: crypto.hash + Map.get, sync']);
  const clock = `a hit reads the clock, because a verdict has to expire: the floor with a \`Date.now()\` is itself at ${clocked.value.toFixed(2)}. The faster the processor hashes, the more that weighs.`;
  const ownPart = `a miss over a transport that answers at once takes ${duration(median(miss.own.keyverify))}`;
  return [
    {
      figure: 'cache hit, `await verify()` / floor with the same fingerprint',
      measured: ratio(verify, samples['floor: crypto.hash + Map.get, async']),
      ...most(1.1),
      reason: clock,
    },
    {
      figure: 'cache hit, `verifyCached()` / synchronous floor with the same fingerprint',
      measured: ratio(verifyCached, samples['floor: crypto.hash + Map.get, sync']),
      ...most(1.08),
      reason: 'it reads the clock, too, which weighs more where there is no `await`.',
    },
    {
      figure: 'cache hit, `verifyCached()`: times faster than fast-jwt cached, both synchronous',
      measured: ratio(samples['fast-jwt, cached HS256, sync'], verifyCached),
      ...least(4.5),
      reason: 'most of a hit is `crypto.hash`: see how many times faster the floor itself is.',
    },
    {
      figure: 'cache hit, `await verify()`: times faster than fast-jwt cached, both awaited',
      measured: ratio(samples['fast-jwt, cached HS256, async'], verify),
      ...least(3.7),
      reason: 'an `await` costs both the same, which brings the ratio closer to 1 than that of the synchronous calls.',
    },
    {
      figure: 'guard through `inject`, above a hook that only hashes',
      measured: above(inject.samples.keyverify, inject.samples['a hook that hashes']),
      show: nanoseconds,
      target: '≤ 1.5 µs',
      isMet: ({ value }) => value <= 1_500,
      reason:
        'it reads the headers, looks up the key, and stores the identity in a `WeakMap` that only the guard can write to.',
    },
    ...serviceTargets(service),
    {
      figure: 'cache miss, 64 concurrent: throughput / bare `Pool.request`',
      measured: inverse(ratio(miss.at64['keyverify: await verify()'], miss.at64['undici Pool.request'])),
      ...least(0.95),
      reason: `${ownPart} (deadline, evidence, parsing, caching).`,
    },
    {
      figure: 'cache miss, sequential: latency / bare `Pool.request`',
      measured: ratio(miss.sequential['keyverify: await verify()'], miss.sequential['undici Pool.request']),
      ...most(1.08),
      reason: `${ownPart}, and more between two waits for the network, when neither code nor data are in the processor’s caches any more.`,
    },
    {
      figure: 'cache miss, 64 concurrent: times faster than @unkey/api',
      measured: ratio(miss.at64['@unkey/api'], miss.at64['keyverify: await verify()']),
      ...least(5),
      reason: 'not explained yet.',
    },
    {
      figure: 'stampede of 10 000 calls: requests to the key server',
      measured: { value: Math.max(...stampede.samples.keyverify.map(({ upstream }) => upstream)) },
      ...most(1),
      reason: 'not explained yet.',
    },
    {
      figure: 'cache hit at 1M entries, `await verify()` / floor at 1M',
      measured: ratio(million.keyverify.samples.hit, million.keyverify.samples.floor),
      ...most(1.5),
      reason: 'each hit of a large cache waits for memory: for the entry and the verdict, beside the key.',
    },
    {
      figure: 'cache hit at 1M entries, `verifyCached()` / synchronous floor at 1M',
      measured: ratio(million.keyverify.samples.hitSync, million.keyverify.samples.floorSync),
      ...most(1.5),
      reason: 'each hit of a large cache waits for memory: for the entry, beside the key.',
    },
    {
      figure: 'longest of 1 000 `invalidate({ tenant })` at 1M entries',
      measured: { value: million.keyverify.invalidate.longestMs },
      show: milliseconds,
      target: '≤ 10 ms',
      isMet: ({ value }) => value <= 10,
      reason: `the median is ${duration(million.keyverify.invalidate.medianMs * 1e6)} and the 99th percentile ${duration(million.keyverify.invalidate.p99Ms * 1e6)}; of the longest, garbage collection took ${duration(million.keyverify.invalidate.gcMs * 1e6)}.`,
    },
    {
      figure: 'bytes per entry at 1M entries / bare lru-cache with the same verdicts and keys',
      measured: { value: million.keyverify.bytes / million.binary.bytes },
      ...most(1.2),
      reason: 'not explained yet.',
    },
    {
      figure: 'import, above a bare process',
      measured: spread(start.imports.keyverify),
      show: milliseconds,
      target: '≤ 9 ms',
      isMet: ({ value }) => value <= 9,
      reason: 'an empty module takes 3 ms, and compiling ours takes 4 ms.',
    },
    {
      figure: 'black hole: p99 of a cached key / of a hit with a healthy server',
      measured: ratio(p99s.cached, p99s.normal),
      ...most(1.5),
      reason: 'not explained yet.',
    },
    {
      figure: 'black hole: p99 of a stale key / of a hit with a healthy server',
      measured: ratio(p99s.stale, p99s.normal),
      ...most(1.5),
      reason: 'what serves stale looks at the circuit breaker, too.',
    },
    ...(fleet.redis === undefined
      ? []
      : [
          {
            figure: 'fleet: longest of 16 revocations until it is effective in four processes, with `pollMs: 500`',
            // Of so few, the 99th percentile is the longest.
            measured: { value: fleet.lags.p99, low: fleet.lags.median, high: fleet.lags.p99 },
            show: ({ value }) => `${duration(value * 1e6)} (median ${duration(fleet.lags.median * 1e6)})`,
            target: '≤ 700 ms',
            isMet: ({ value }) => value <= 700 && fleet.lags.lost === 0,
            reason: 'not explained yet.',
          },
        ]),
  ].map(({ measured, show = times, isMet, ...rest }) => ({
    ...rest,
    measured,
    text: show(measured),
    met: isMet(measured),
  }));
}
