import { Unkey } from '@unkey/api';

import { KeyVerifier } from '../../dist/index.js';
import { child } from '../lib/child.mjs';
import { handwritten } from '../lib/handwritten.mjs';
import { TOKEN, keyOf } from '../lib/keys.mjs';
import { quantile } from '../lib/paired.mjs';

/** The peers have no breaker, so each of their calls waits for its timeout: only a few are measured. */
const CALLS = 10_000;
const CALLS_OF_PEERS = 64;
const GIVE_UP_MS = 5_000;
const ROUNDS = 60;
const CALLS_OF_ROUND = 1_000;
const WARM_UPS = 10;

const server = await child('servers/key-server.mjs', { keys: 4_096 });
const healthyServer = await child('servers/key-server.mjs', { keys: 4_096 });
const unkeyServer = await child('servers/unkey.mjs');
const { verifyUrl } = server.message;
const known = Array.from({ length: 2_048 }, (_, i) => keyOf(i));
let unseen = 1_000_000;

const options = { verifyUrl, serviceToken: TOKEN };
const healthy = new KeyVerifier({ ...options, verifyUrl: healthyServer.message.verifyUrl });
const fresh = new KeyVerifier(options);
const stale = new KeyVerifier({ ...options, cacheTtlMs: 1 });
const byHand = handwritten({ verifyUrl });
const unkey = new Unkey({ rootKey: 'unkey_root', serverURL: unkeyServer.message.url });
for (const key of known) {
  for (const verifier of [healthy, fresh, stale, byHand]) await verifier.verify(key);
}

async function distribution(calls, concurrency, once) {
  const ns = [];
  const sources = {};
  let left = calls;
  const call = async () => {
    while (left-- > 0) {
      const start = process.hrtime.bigint();
      const source = await once(calls - left - 1);
      ns.push(Number(process.hrtime.bigint() - start));
      sources[source] = (sources[source] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, call));
  return { p50: quantile(ns, 0.5), p99: quantile(ns, 0.99), max: quantile(ns, 1), calls, sources };
}

const source = async (result) => (await result).source;
const settled = async (promise) => {
  let timer;
  const givenUp = new Promise((resolve) => (timer = setTimeout(resolve, GIVE_UP_MS, 'still pending')));
  const outcome = promise.then(
    (value) => ((value.data ?? value).valid === true ? 'valid' : 'refused'),
    () => 'rejected',
  );
  const first = await Promise.race([outcome, givenUp]);
  clearTimeout(timer);
  return first;
};
const knownKey = (i) => known[i % known.length];

await server.ask({ fault: { kind: 'hang' } });
await unkeyServer.ask({ hang: true });
// The first calls of the outage open the breaker. They aren't measured.
await Promise.all(Array.from({ length: 8 }, () => fresh.verify(keyOf(unseen++))));
await Promise.all(known.map((key) => stale.verify(key)));

/** In turns, so that a slow phase of the machine affects all of them alike: each round has a p99 of its own. */
const hits = { normal: healthy, cached: fresh, stale };
const rounds = { normal: [], cached: [], stale: [] };
for (let round = -WARM_UPS; round < ROUNDS; round++)
  for (let turn = 0; turn < 3; turn++) {
    const name = Object.keys(hits)[(turn + round + WARM_UPS) % 3];
    const measured = await distribution(CALLS_OF_ROUND, 1, (i) => source(hits[name].verify(knownKey(i))));
    if (round >= 0) rounds[name].push(measured);
  }
const together = (of) => ({
  p50: quantile(
    of.map(({ p50 }) => p50),
    0.5,
  ),
  p99: quantile(
    of.map(({ p99 }) => p99),
    0.5,
  ),
  max: Math.max(...of.map(({ max }) => max)),
  sources: { [Object.keys(of[0].sources).join(', ')]: of.length * CALLS_OF_ROUND },
});
const unknownKeys = await distribution(CALLS, 64, () => source(fresh.verify(keyOf(unseen++))));
const handKnown = await distribution(CALLS, 1, (i) => settled(byHand.verify(knownKey(i))));
const handUnseen = await distribution(CALLS_OF_PEERS, CALLS_OF_PEERS, () => settled(byHand.verify(keyOf(unseen++))));
const unkeyAny = await distribution(CALLS_OF_PEERS, CALLS_OF_PEERS, () =>
  settled(unkey.keys.verifyKey({ key: keyOf(unseen++) })),
);

process.send({
  p99s: Object.fromEntries(Object.entries(rounds).map(([name, of]) => [name, of.map(({ p99 }) => p99)])),
  rows: {
    'keyverify, cached, no outage': together(rounds.normal),
    'keyverify, cached': together(rounds.cached),
    'keyverify, stale': together(rounds.stale),
    'keyverify, new key': unknownKeys,
    'by hand, cached': handKnown,
    'by hand, new key': handUnseen,
    '@unkey/api, any': unkeyAny,
  },
});
await Promise.all([server.stop(), healthyServer.stop(), unkeyServer.stop()]);
process.exit();
