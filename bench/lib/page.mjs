import { cpus, release, totalmem } from 'node:os';

import { bars } from './chart.mjs';
import { duration, table, times, whole } from './format.mjs';
import { median, quantile, ratio } from './paired.mjs';

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
  return `${connections} connections of autocannon in another process, ${seconds} s each turn, medians. nginx's \`auth_request\` sees the
status of a cached response only: it lets rejected keys in, which answer 200 as well. An empty hook is what any guard costs at the
least; with the hash in it, what one costs that knows keys by their SHA-256. \`crypto.hash\` takes several times longer between
requests than in a loop, where its code and data stay in the processor's caches.

${table(['', 'requests/s', 'p99', '/ bare', 'failed'], lines)}${missing}`;
}

/** The page, and the charts in it. */
export function page(
  { hit, miss, stampede, outage, service: services, scale, start },
  held,
  { startedAt, load, dependencies },
) {
  const base = 'floor: crypto.hash + Map.get, async';
  const pool = 'undici Pool.request';
  const charts = {
    hit: bars('One hit', rowsOf(hit.samples), duration),
    miss: bars('Time for each miss, 64 at once', rowsOf(miss.at64), duration),
    outage: bars(
      'Black-holed key server, p99 of a call',
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
      'A hit, by the number of entries',
      scale.map(({ size, keyverify }) => ({ name: `keyverify, ${whole(size)}`, value: keyverify.hit })),
      duration,
    ),
  };
  const chart = (name, what) => `![${what}](./performance/${name}.svg)`;
  const versions = Object.entries(dependencies).map(([name, version]) => `${name} ${version}`);

  const markdown = `# Performance

<!-- Written by \`npm run bench\`: change bench/, not this page. -->

Every comparison is taken in turns within one run, so that what slows the machine down slows everybody down. Absolute figures
are this machine's, ratios carry over. A ratio is one of medians; in brackets, the middle half of the ratios taken turn by turn.

- When: ${startedAt.toISOString()}
- Where: ${cpus().length} × ${cpus()[0]?.model}, ${whole(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, Node ${process.version}, load ${load.toFixed(1)} in the five minutes before
- Beside: ${versions.join(', ')}, nginx ${services.nginx ?? '(not installed)'}
- How: \`npm ci && npm run bench\`

## What must hold

${table(
  ['figure', 'measured', 'target', 'met'],
  held.map(({ figure, measured, target, met }) => [figure, times(measured), target, met ? 'yes' : '**no**']),
)}

## A hit

${whole(hit.keys)} keys in turn. The floor hashes the key to hexadecimal digits and looks it up in a \`Map\`.

${table(['', 'median', 'middle half', '/ floor'], compared(hit.samples, base))}

${chart('hit', 'Time of one hit')}

## A miss

The embedded key server runs in another process; @unkey/api asks a loopback server that speaks its protocol.

${table(['64 at once', 'time for each', 'middle half', `/ ${pool}`], compared(miss.at64, pool))}

${table(['one after the other', 'median', 'middle half', `/ ${pool}`], compared(miss.sequential, pool))}

${chart('miss', 'Time for each miss')}

## A stampede

${whole(stampede.calls)} concurrent calls for one key that nobody has asked for.

${table(
  ['', 'upstream calls', 'time', 'calls that failed'],
  Object.entries(stampede.samples).map(([name, rounds]) => [
    name,
    rounds.map(({ upstream }) => whole(upstream)).join(', '),
    duration(median(rounds.map(({ ms }) => ms)) * 1e6),
    rounds.map(({ failed }) => whole(failed)).join(', '),
  ]),
)}

## An outage

The key server takes every request and never answers. "Still pending" is after 5 s, when the wait was ended.

${table(
  ['', 'p50', 'p99', 'longest', 'answers'],
  Object.entries(outage.rows).map(([name, row]) => [
    name,
    duration(row.p50),
    duration(row.p99),
    duration(row.max),
    sources(row.sources),
  ]),
)}

${chart('outage', 'p99 of a call in an outage')}

## A whole service

${service(services)}

${chart('service', 'Requests per second')}

## By the number of entries

Bytes are of the heap for each entry, key included. The bare lru-cache holds the same verdicts as they come from \`JSON.parse\`,
by hexadecimal keys and by our own (32 characters of 8 bits).

${table(
  ['entries', 'hit', 'floor', 'bytes', 'bare lru-cache', 'with our keys', '`invalidate` by tenant'],
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

${chart('scale', 'A hit, by the number of entries')}

## Start

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
  return { markdown, charts, held };
}
