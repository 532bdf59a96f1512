import { cpus, release, totalmem } from 'node:os';

import { grouped, table } from '../../tools/pages.ts';
import { bars } from '../../tools/svg.ts';
import { duration, times } from './format.mjs';
import { median, quantile, ratio } from './paired.mjs';

const whole = (value) => grouped(Math.round(value));

const percent = (share) => `${(100 * share).toFixed(0)} %`;

const sources = (counts) =>
  Object.entries(counts)
    .map(([source, count]) => `${whole(count)} ${source}`)
    .join(', ');

function compared(samples, base) {
  return Object.entries(samples).map(([name, values]) => {
    const same = values.length === samples[base].length;
    const against = same ? ratio(values, samples[base]) : { value: median(values) / median(samples[base]) };
    return [
      name,
      duration(median(values)),
      `${duration(quantile(values, 0.25))} to ${duration(quantile(values, 0.75))}`,
      times(against),
    ];
  });
}

const rowsOf = (samples) => Object.entries(samples).map(([name, values]) => ({ name, value: median(values) }));

const KINDS = { none: '', list: 'compares with a list in memory', guard: '' };

function service({ rows, nginx, perSecond, seconds }) {
  const bare = (framework) => rows.find((row) => row.framework === framework && row.guard === 'bare').cpuUs;
  const lines = rows.map(({ framework, guard, kind, cpuUs }) => {
    const added = cpuUs.map((us, round) => us - bare(framework)[round]);
    return [
      `${framework}, ${guard}`,
      duration(median(cpuUs) * 1e3),
      guard === 'bare' ? '' : `${duration(median(added) * 1e3)} (${spreadOf(added, 1e3)})`,
      KINDS[kind],
    ];
  });
  const missing =
    nginx === undefined ? '\n\nnginx was not installed (`apt-get install nginx-light`), so it is left out.' : '';
  return `Each service is a process of its own and gets ${whole(perSecond)} requests/s for ${seconds} s in each of ${rows[0].cpuUs.length} rounds, over kept-alive
connections of another process. We measure processor time per request, not throughput: on two cores that varies by a factor of
two within a minute on a machine like this. The figure "above bare" is the median of the differences within the rounds.
Where the ranges of two rows overlap, the difference between them may be noise.

${table(['', 'CPU per request', 'above bare (interquartile range)', ''], lines)}${missing}

The others do less, or other things. \`@fastify/bearer-auth\` and \`hono/bearer-auth\` compare with fixed keys, and know neither whose
key it is nor that it was revoked. \`@fastify/jwt\` and \`express-oauth2-jwt-bearer\` check an HS256 signature (RS256 costs
more): a revoked token stays valid until it expires. \`@unkey/hono\` asks its service, here a stand-in on loopback, about
every request. "By hand" is an \`LRUCache\` with a TTL around \`fetch\`. nginx's \`auth_request\` only reads the status of a
cached response, which is 200 for a rejected key as well, so it lets rejected keys in. Its figure is that of nginx and of the
service behind it.`;
}

const spreadOf = (values, unit) =>
  `${duration(quantile(values, 0.25) * unit)} to ${duration(quantile(values, 0.75) * unit)}`;

function inject({ samples }) {
  const hashing = samples['a hook that hashes'];
  return table(
    ['Fastify', 'one request', 'above a hook that hashes (interquartile range)'],
    Object.entries(samples).map(([name, values]) => {
      const added = values.map((ns, round) => ns - hashing[round]);
      return [name, duration(median(values)), `${duration(median(added))} (${spreadOf(added, 1)})`];
    }),
  );
}

const answersOf = (answers) =>
  Object.entries(answers)
    .map(([answer, count]) => `${count} ${answer}`)
    .join(', ');

function fleetSection(fleet) {
  if (fleet.redis === undefined)
    return 'redis-server was not installed (`apt-get install redis-server`), so this is left out.';
  const { costs, failed, processes, patienceMs, requests, frozen, dead, revocation, outage, lags } = fleet;
  const names = Object.keys(requests);
  const us = (samples) => samples.map((value) => value * 1_000);
  const scaled = (samples) => Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, us(values)]));
  const alone = 'keyverify, without a shared cache';
  const without = ({ p50, p99, answers }) => [duration(p50 * 1e6), duration(p99 * 1e6), answersOf(answers)];
  return `Redis ${fleet.redis} on loopback, behind each package's own cache in memory: bentocache with its bus, cacheable with a
secondary store, @unkey/cache with a store of twenty lines, since its own speaks only Upstash's HTTP. keyverify seals what it
stores (AES-256-GCM), and neither key nor client can be read in Redis; the others store the key and the verdict as they are.

A shared hit: a process without a verdict finds that of another process. Medians of batches, in turns.
Hits that had to ask the key server because Redis took longer than its budget: ${answersOf(costs.asked)}. Calls without a verdict: ${failed}.

${table(['', 'median', 'interquartile range', '/ GET'], compared(scaled(costs.hits), 'GET'))}

A shared miss: Redis has nothing, the key server is asked, and the verdict is stored.

${table(['', 'median', 'interquartile range', '/ without'], compared(scaled(costs.misses), alone))}

Requests to the key server, for ${requests.keyverify.keys} keys that each of ${processes} processes needs:

${table(
  ['', 'one process after the other', 'all at once', 'without a shared cache'],
  names.map((name) => [
    name,
    whole(requests[name].inTurn),
    whole(requests[name].atOnce),
    whole(requests[name].keys * processes),
  ]),
)}

Calls while Redis is frozen (SIGSTOP) or dead, one after the other, after eight concurrent ones that find it so.
A call was given up after ${duration(patienceMs * 1e6)}.

${table(
  ['', 'frozen: p50', 'p99', 'answers', 'dead: p50', 'p99', 'answers'],
  names.map((name) => [name, ...without(frozen[name]), ...without(dead[name])]),
)}

A key is revoked at the key server, and one process is told (\`revoke()\` or \`delete()\`). How long does another process that has
the verdict let the key in?

${table(
  ['', 'refused within 2 s', 'median', 'longest'],
  names.map((name) => {
    const { rounds, refused, medianMs, mostMs } = revocation[name];
    const times = refused === 0 ? ['', ''] : [duration(medianMs * 1e6), duration(mostMs * 1e6)];
    return [name, `${refused} of ${rounds}`, ...times];
  }),
)}

keyverify polls its stream every 500 ms here. A bus is faster while it is connected, but a process without a connection never
gets what is published meanwhile. Of ${lags.revocations} revocations that the key server published, the slowest one took ${duration(lags.p99 * 1e6)}
until all four processes refused the key; the median of all processes is ${duration(lags.median * 1e6)}; ${lags.lost} were lost.

The key server is down:

${table(
  ['', ...Object.keys(outage.keyverify)],
  names.map((name) => [name, ...Object.values(outage[name])]),
)}`;
}

function missed(results) {
  const reasons = results
    .filter(({ met }) => !met)
    .map(
      ({ figure, text, target, reason }) =>
        `- ${figure}: ${text} instead of ${target}. ${reason[0].toUpperCase()}${reason.slice(1)}`,
    );
  if (reasons.length === 0) return 'All targets were met.\n\n';
  return `Missed, ${reasons.length} of ${results.length}:\n\n${reasons.join('\n')}\n\n`;
}

/** docs/performance.md and its charts. */
export function page(
  { hit, miss, stampede, outage, inject: injected, service: services, fleet, scale, start },
  results,
  { startedAt, seconds, load, busy, versions },
) {
  const base = 'floor: crypto.hash + Map.get, async';
  const pool = 'undici Pool.request';
  const charts = {
    hit: bars('One cache hit', rowsOf(hit.samples), duration),
    miss: bars('Time per cache miss, 64 concurrent', rowsOf(miss.at64), duration),
    outage: bars(
      'Key server that never answers, p99 of a call',
      Object.entries(outage.rows).map(([name, { p99 }]) => ({ name, value: p99 })),
      duration,
    ),
    service: bars(
      'CPU per request of a hello world',
      services.rows.map(({ framework, guard, cpuUs }) => ({
        name: `${guard === 'keyverify' ? 'keyverify, ' : ''}${framework}${guard === 'keyverify' ? '' : `, ${guard}`}`,
        value: median(cpuUs) * 1e3,
      })),
      duration,
    ),
    scale: bars(
      'One cache hit, by number of entries',
      scale.map(({ size, keyverify }) => ({ name: `keyverify, ${whole(size)}`, value: median(keyverify.samples.hit) })),
      duration,
    ),
  };
  const chart = (name, what) => `![${what}](./performance/${name}.svg)`;

  const markdown = `# Performance

<!-- Written by \`npm run bench\`. Edit bench/, not this page. -->

All candidates of a comparison take turns within one run, so a slow phase of the machine affects them alike. Ratios carry over
to other machines, absolute figures don't. A ratio is the median of the ratios of the single rounds, with their interquartile
range in brackets; one without brackets compares two medians or two single figures. All figures are of one run.

- Date: ${startedAt.toISOString()}
- Machine: ${cpus().length} × ${cpus()[0]?.model}, ${whole(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, Node ${process.version}, load average ${load.toFixed(1)} in the five minutes before the run; ${percent(Math.min(...busy))} to ${percent(Math.max(...busy))} busy with other work before each section
- Compared with: ${versions.join(', ')}, nginx ${services.nginx ?? '(not installed)'}
- Command: \`npm ci && npm run bench\`, ${seconds} s

## Targets

${missed(results)}${table(
    ['figure', 'measured', 'target', 'met'],
    results.map(({ figure, text, target, met }) => [figure, text, target, met ? 'yes' : '**no**']),
  )}

## Cache hit

${whole(hit.keys)} cached keys, one after the other. The floor hashes the key to the same 32 bytes and looks them up in a \`Map\`,
without expiry. Medians of 600 rounds of 256 calls.

${table(['', 'median', 'interquartile range', '/ floor'], compared(hit.samples, base))}

${chart('hit', 'Time of one cache hit')}

## Cache miss

The embedded key server runs in another process. @unkey/api asks a loopback server that speaks its protocol. Medians of 60 rounds.
keyverify refused ${whole(miss.refused)} calls, which were repeated within the measured time: under load it limits questions about new keys.

${table(['64 concurrent', 'time per call', 'interquartile range', `/ ${pool}`], compared(miss.at64, pool))}

${table(['sequential', 'median', 'interquartile range', `/ ${pool}`], compared(miss.sequential, pool))}

Our own part of a miss, over a transport that answers at once: ${duration(median(miss.own.keyverify))} (${spreadOf(miss.own.keyverify, 1)}).

${chart('miss', 'Time per cache miss')}

## Stampede

${whole(stampede.calls)} concurrent calls for one key that isn't cached.

${table(
  ['', 'requests to the key server, by round', 'time', 'failed calls, by round'],
  Object.entries(stampede.samples).map(([name, rounds]) => [
    name,
    rounds.map(({ upstream }) => whole(upstream)).join(', '),
    duration(median(rounds.map(({ ms }) => ms)) * 1e6),
    rounds.map(({ failed }) => whole(failed)).join(', '),
  ]),
)}

## Outage

The key server accepts every request and never answers. The first three rows take turns, and their percentiles are the medians of
those of 60 rounds of 1 000 calls. "Still pending" is the state after 5 s, when the benchmark stopped waiting.

${table(
  ['', 'p50', 'p99', 'maximum', 'results'],
  Object.entries(outage.rows).map(([name, row]) => [
    name,
    duration(row.p50),
    duration(row.p99),
    duration(row.max),
    sources(row.sources),
  ]),
)}

${chart('outage', 'p99 of a call in an outage')}

## Guard

Requests to Fastify without a socket (\`inject\`), in one process and in turns, 500 rounds of 64 requests. The hook that hashes is
the lower bound for a guard that looks up keys by their SHA-256.

${inject(injected)}

## CPU per request

${service(services)}

${chart('service', 'CPU per request')}

## Fleet

${fleetSection(fleet)}

## Number of entries

Each size is measured in a process of its own. Keys are looked up in an order that defeats the processor's caches, in turns with the
floor, a \`Map\` of the same size with the same fingerprints. Bytes are heap bytes per entry, with its key and its share of the tables.
The bare lru-cache has the same verdicts, as \`JSON.parse\` returns them, under hexadecimal keys and under keys like ours (32 one-byte
characters). \`invalidate({ tenant })\` checks 512 entries at once, and the others when they are looked up; "of it GC" is
what garbage collection took of the longest call.

${table(
  ['entries', '`await verify()`', 'floor', 'ratio', '`verifyCached()`', 'floor', 'ratio'],
  scale.map(({ size, keyverify: { samples } }) => [
    whole(size),
    duration(median(samples.hit)),
    duration(median(samples.floor)),
    times(ratio(samples.hit, samples.floor)),
    duration(median(samples.hitSync)),
    duration(median(samples.floorSync)),
    times(ratio(samples.hitSync, samples.floorSync)),
  ]),
)}

${table(
  [
    'entries',
    'bytes',
    'bare lru-cache',
    'bare lru-cache, our keys',
    '`invalidate`, median',
    'p99',
    'longest of 1 000',
    'of it GC',
  ],
  scale.map(({ size, keyverify: { bytes, invalidate }, hex, binary }) => [
    whole(size),
    whole(bytes),
    whole(hex.bytes),
    whole(binary.bytes),
    ...[invalidate.medianMs, invalidate.p99Ms, invalidate.longestMs, invalidate.gcMs].map((ms) => duration(ms * 1e6)),
  ]),
)}

${chart('scale', 'Time of one cache hit, by number of entries')}

## Start-up

Processor time of an import in a fresh process, above that of a bare one in the same round (of ${start.imports.keyverify.length}, forwards and
backwards), which a busy machine doesn't inflate; and the time from the import to the first verdict, the median of ${start.verdicts.keyverify.length}.
[Runtimes](runtimes.md#size-and-cost) has the import of the packed package, from another run. Processor times of different runs
differ with the speed of the machine at that time, so compare only figures of one run.

${table(
  ['', 'import', 'interquartile range', 'first verdict'],
  Object.entries(start.imports).map(([name, ms]) => [
    name,
    duration(median(ms) * 1e6),
    spreadOf(ms, 1e6),
    start.verdicts[name] === undefined ? '' : duration(median(start.verdicts[name]) * 1e6),
  ]),
)}
`;
  return { markdown, charts };
}
