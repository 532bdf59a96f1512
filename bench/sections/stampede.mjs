import { Namespace, createCache, DefaultStatefulContext } from '@unkey/cache';
import { MemoryStore } from '@unkey/cache/stores';

import { KeyVerifier } from '../../dist/index.js';
import { ask } from '../lib/ask.mjs';
import { child } from '../lib/child.mjs';
import { handwritten } from '../lib/handwritten.mjs';
import { TOKEN, keyOf } from '../lib/keys.mjs';

const CALLS = 10_000;
const ROUNDS = 2;
const server = await child('servers/key-server.mjs', { keys: 1_000 });
const { verifyUrl } = server.message;
let keysUsed = 0;

const verifier = new KeyVerifier({ verifyUrl, serviceToken: TOKEN });
const byHand = handwritten({ verifyUrl });
const swr = createCache({
  verdicts: new Namespace(new DefaultStatefulContext(), {
    stores: [new MemoryStore({ persistentMap: new Map() })],
    fresh: 300_000,
    stale: 3_600_000,
  }),
});

const subjects = {
  keyverify: (key) => verifier.verify(key),
  'by hand': (key) => byHand.verify(key),
  '@unkey/cache swr': (key) => swr.verdicts.swr(key, () => ask(verifyUrl, key)),
};
await verifier.verify(keyOf(keysUsed++));

const samples = {};
for (let round = 0; round < ROUNDS; round++)
  for (const [name, subject] of Object.entries(subjects)) {
    const key = keyOf(keysUsed++);
    const { requests: before } = await server.ask({});
    const start = performance.now();
    const settled = await Promise.allSettled(Array.from({ length: CALLS }, () => subject(key)));
    const ms = performance.now() - start;
    const { requests } = await server.ask({});
    const failed = settled.filter(({ status }) => status === 'rejected').length;
    (samples[name] ??= []).push({ ms, upstream: requests - before, failed });
  }
process.send({ calls: CALLS, samples });
await Promise.all([server.stop(), verifier.close()]);
process.exit();
