import { ratio } from './paired.mjs';

const inverse = ({ value, low, high }) => ({ value: 1 / value, low: 1 / high, high: 1 / low });

/** The targets, and whether this run met them. Those that have been missed come with the reason. */
export function targets({ hit, miss, stampede, outage, service, scale }) {
  const { samples } = hit;
  const rate = (guard) =>
    service.rows
      .find((row) => row.framework === 'fastify' && row.guard === guard)
      .rounds.map((round) => round.perSecond);
  const million = scale.find(({ size }) => size === 1_000_000);
  const thousand = scale.find(({ size }) => size === 1_000);
  const quiet = outage.rows['keyverify, cached, no outage'];
  const verify = samples['keyverify: await verify()'];
  return [
    [
      'cache hit, `await verify()` / floor',
      ratio(verify, samples['floor: crypto.hash + Map.get, async']),
      'most',
      1.15,
    ],
    [
      'cache hit, `peek()` / synchronous floor',
      ratio(samples['keyverify: peek()'], samples['floor: crypto.hash + Map.get, sync']),
      'most',
      1.1,
    ],
    [
      'cache hit, `verifyCached()`: times faster than fast-jwt cached, both synchronous',
      ratio(samples['fast-jwt, cached HS256, sync'], samples['keyverify: verifyCached()']),
      'least',
      4,
    ],
    [
      'cache hit, `await verify()`: times faster than fast-jwt cached, both awaited',
      ratio(samples['fast-jwt, cached HS256, async'], verify),
      'least',
      4,
      'an `await` costs both the same, which brings the ratio closer to 1 than that of the synchronous calls.',
    ],
    [
      'cache miss, 64 concurrent: throughput / bare `Pool.request`',
      inverse(ratio(miss.at64['keyverify: await verify()'], miss.at64['undici Pool.request'])),
      'least',
      0.9,
    ],
    [
      'cache miss, sequential: latency / bare `Pool.request`',
      ratio(miss.sequential['keyverify: await verify()'], miss.sequential['undici Pool.request']),
      'most',
      1.1,
    ],
    [
      'cache miss, 64 concurrent: times faster than @unkey/api',
      ratio(miss.at64['@unkey/api'], miss.at64['keyverify: await verify()']),
      'least',
      5,
    ],
    [
      'stampede of 10 000 calls: requests to the key server',
      { value: Math.max(...stampede.samples.keyverify.map(({ upstream }) => upstream)) },
      'most',
      1,
    ],
    [
      'outage, p99 of a cached key / without outage',
      { value: outage.rows['keyverify, cached'].p99 / quiet.p99 },
      'most',
      2,
    ],
    [
      'outage, p99 of a stale key / without outage',
      { value: outage.rows['keyverify, stale'].p99 / quiet.p99 },
      'most',
      2,
    ],
    [
      'bytes per entry at 1M entries / bare lru-cache with the same verdicts and keys',
      { value: million.keyverify.bytes / million.binary.bytes },
      'most',
      1.3,
    ],
    ['cache hit at 1M entries / at 1k', { value: million.keyverify.hit / thousand.keyverify.hit }, 'most', 2.5],
    [
      'Fastify hello world, requests/s / bare',
      ratio(rate('keyverify'), rate('bare')),
      'least',
      0.95,
      'the handler does nothing, so the guard is a large share of each request. Hashing the key is a small part of it: see the hashing hook in [Whole service](#whole-service).',
    ],
  ].map(([figure, measured, bound, limit, reason = 'not explained yet.']) => {
    const met = bound === 'most' ? measured.value <= limit : measured.value >= limit;
    return { figure, measured, target: `${bound === 'most' ? '≤' : '≥'} ${limit}`, met, reason };
  });
}
