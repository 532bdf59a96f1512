import { Unkey } from '@unkey/api';
import { Pool } from 'undici';

import { KeyVerifier } from '../../dist/index.js';
import { child } from '../lib/child.mjs';
import { TOKEN, keyOf } from '../lib/keys.mjs';
import { atOnce, paired } from '../lib/paired.mjs';

const KEYS = 120_000;
const server = await child('servers/key-server.mjs', { keys: KEYS });
const unkeyServer = await child('servers/unkey.mjs');
const { url, verifyUrl } = server.message;
const { pathname } = new URL(verifyUrl);

let turn = 0;
let refused = 0;
const nextKey = () => keyOf(turn++ % KEYS);
const headers = { 'content-type': 'application/json', accept: 'application/json', 'x-service-token': TOKEN };

const pool = new Pool(url, { connections: 64, pipelining: 1 });
const verifier = new KeyVerifier({ verifyUrl, serviceToken: TOKEN, maxEntries: 1_000, logger: false });
const unkey = new Unkey({ rootKey: 'unkey_root', serverURL: unkeyServer.message.url });

const jobs = {
  'undici Pool.request': async () => {
    const response = await pool.request({
      path: pathname,
      method: 'POST',
      headers,
      body: JSON.stringify({ key: nextKey() }),
    });
    if ((await response.body.json()).valid !== true) throw new Error('refused');
  },
  'keyverify: await verify()': async () => {
    const key = nextKey();
    let result = await verifier.verify(key);
    // It refuses unknown keys when the server gets slower, as on a machine that is busy with other things: asking again is part
    // of the time.
    for (let tries = 0; result.failure?.kind === 'overloaded' && tries < 1_000; tries++) {
      refused++;
      await new Promise((resolve) => setImmediate(resolve));
      result = await verifier.verify(key);
    }
    if (result.source !== 'server' || !result.valid) throw result.failure ?? new Error('not a miss');
  },
  'global fetch': async () => {
    const response = await fetch(verifyUrl, { method: 'POST', headers, body: JSON.stringify({ key: nextKey() }) });
    if ((await response.json()).valid !== true) throw new Error('refused');
  },
  '@unkey/api': async () => {
    const response = await unkey.keys.verifyKey({ key: nextKey() });
    if (response.data.valid !== true) throw new Error('refused');
  },
};

const measure = async (concurrency, times, rounds) =>
  await paired(
    Object.fromEntries(
      Object.entries(jobs).map(([name, job]) => [
        name,
        { run: (calls) => atOnce(concurrency, calls, job), calls: name === '@unkey/api' ? times / 4 : times },
      ]),
    ),
    { rounds, warmUp: 4 },
  );

/** Our own part: over a transport that answers at once. */
const body = new TextEncoder().encode(JSON.stringify({ valid: true, client: 'acme', tenant: 'cust-A', key_id: 'k-1' }));
const header = (name) => (name === 'content-type' ? 'application/json' : undefined);
const answered = { response: Promise.resolve({ status: 200, header, body }), abort: () => undefined };
const transport = { send: () => answered };
const alone = new KeyVerifier({ verifyUrl, serviceToken: TOKEN, maxEntries: 1_000, logger: false, transport });
// More than fit into the cache, so each is a miss again.
const keys = Array.from({ length: 2_000 }, (_, i) => keyOf(i));
const missAlone = async () => {
  if ((await alone.verify(keys[turn++ % keys.length])).source !== 'server') throw new Error('not a miss');
};

const at64 = await measure(64, 512, 60);
const sequential = await measure(1, 96, 60);
const own = await paired({ keyverify: { run: (calls) => atOnce(1, calls, missAlone) } }, { rounds: 200 });
process.send({ at64, sequential, own, refused });
await Promise.all([server.stop(), unkeyServer.stop(), verifier.close(), alone.close(), pool.destroy()]);
process.exit();
