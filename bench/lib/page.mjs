import { cpus, release, totalmem } from 'node:os';

import { grouped, table } from '../../tools/pages.ts';
import { bars } from '../../tools/svg.ts';
import { duration, times } from './format.mjs';
import { median, quantile, ratio } from './paired.mjs';

const whole = (value) => grouped(Math.round(value));

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

function service({ rows, nginx, seconds, connections }) {
  const perSecond = (row) => median(row.rounds.map((round) => round.perSecond));
  const bare = (framework) => perSecond(rows.find((row) => row.framework === framework && row.guard === 'bare'));
  const lines = rows.map((row) => [
    `${row.framework}, ${row.guard}`,
    whole(perSecond(row)),
    `${median(row.rounds.map((round) => round.p99))} ms`,
    (perSecond(row) / bare(row.framework)).toFixed(2),
    whole(row.rounds.reduce((sum, { failed }) => sum + failed, 0)),
  ]);
  const missing =
    nginx === undefined ? '\n\nnginx was not installed (`apt-get install nginx-light`), so it is left out.' : '';
  return `${connections} connections of autocannon in another process, ${seconds} s in each round, medians. nginx's \`auth_request\` only
reads the status of a cached response, which is 200 for a rejected key as well: it lets rejected keys in. The empty hook is the
least that any guard costs in Fastify, the hashing one the least that a guard costs which looks keys up by their SHA-256.
\`crypto.hash\` takes several times longer between requests than in a loop, where its code and data stay in the processor's caches.

${table(['', 'requests/s', 'p99', '/ bare', 'failed'], lines)}${missing}`;
}

function missed(results) {
  const reasons = results.filter(({ met }) => !met).map(({ figure, reason }) => `- ${figure}: ${reason}`);
  return reasons.length === 0 ? '' : `Targets that were missed:\n\n${reasons.join('\n')}\n\n`;
}

/** docs/performance.md and its charts. */
export function page(
  { hit, miss, stampede, outage, service: services, scale, start },
  results,
  { startedAt, load, versions },
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
      'Requests/s of a hello world',
      services.rows.map(({ framework, guard, rounds }) => ({
        name: `${guard === 'keyverify' ? 'keyverify, ' : ''}${framework}${guard === 'keyverify' ? '' : `, ${guard}`}`,
        value: median(rounds.map((round) => round.perSecond)),
      })),
      whole,
    ),
    scale: bars(
      'One cache hit, by number of entries',
      scale.map(({ size, keyverify }) => ({ name: `keyverify, ${whole(size)}`, value: keyverify.hit })),
      duration,
    ),
  };
  const chart = (name, what) => `![${what}](./performance/${name}.svg)`;

  const markdown = `# Performance

<!-- Written by \`npm run bench\`. Edit bench/, not this page. -->

All candidates of a comparison take turns within one run, so a slow phase of the machine affects them alike. Ratios carry over
to other machines, absolute figures don't. A ratio compares medians; the range in brackets is the interquartile range of the
ratios of the single rounds.

- Date: ${startedAt.toISOString()}
- Machine: ${cpus().length} × ${cpus()[0]?.model}, ${whole(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, Node ${process.version}, load average ${load.toFixed(1)} in the five minutes before
- Compared with: ${versions.join(', ')}, nginx ${services.nginx ?? '(not installed)'}
- Command: \`npm ci && npm run bench\`

## Targets

${missed(results)}${table(
    ['figure', 'measured', 'target', 'met'],
    results.map(({ figure, measured, target, met }) => [figure, times(measured), target, met ? 'yes' : '**no**']),
  )}

## Cache hit

${whole(hit.keys)} cached keys, one after the other. The floor hashes the key to hexadecimal digits and looks it up in a \`Map\`.

${table(['', 'median', 'interquartile range', '/ floor'], compared(hit.samples, base))}

${chart('hit', 'Time of one cache hit')}

## Cache miss

The embedded key server runs in another process. @unkey/api asks a loopback server that speaks its protocol.

${table(['64 concurrent', 'time per call', 'interquartile range', `/ ${pool}`], compared(miss.at64, pool))}

${table(['sequential', 'median', 'interquartile range', `/ ${pool}`], compared(miss.sequential, pool))}

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

The key server accepts every request and never answers. "Still pending" is the state after 5 s, when the benchmark stopped waiting.

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

## Whole service

${service(services)}

${chart('service', 'Requests per second')}

## Number of entries

Bytes are heap bytes for each entry, key included. The bare lru-cache holds the same verdicts as \`JSON.parse\` gives them, under
hexadecimal keys and under keys like ours (32 one-byte characters).

${table(
  ['entries', 'hit', 'floor', 'bytes', 'bare lru-cache', 'bare lru-cache, our keys', '`invalidate` by tenant'],
  scale.map(({ size, keyverify, hex, binary }) => [
    whole(size),
    duration(keyverify.hit),
    duration(keyverify.floor),
    whole(keyverify.bytes),
    whole(hex.bytes),
    whole(binary.bytes),
    `${duration(keyverify.invalidateMs * 1e6)} for ${whole(keyverify.forgotten)}`,
  ]),
)}

${chart('scale', 'Time of one cache hit, by number of entries')}

## Start-up

Medians of ${start.keyverify.length} fresh processes.

${table(
  ['', 'import', 'first verdict'],
  Object.entries(start).map(([name, rounds]) => {
    const of = (field) => median(rounds.map((round) => round[field]));
    return [
      name,
      `${of('importMs').toFixed(0)} ms`,
      rounds[0].verdictMs === undefined ? '' : `${of('verdictMs').toFixed(0)} ms`,
    ];
  }),
)}
`;
  return { markdown, charts };
}
