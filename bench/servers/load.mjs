import { setTimeout as sleep } from 'node:timers/promises';

import { Pool } from 'undici';

import { given } from '../lib/child.mjs';

given();

const TICK_MS = 2;
const pools = new Map();

/** Sends requests at a constant rate, however long the answers take, and tells how many it sent and how many failed. */
process.on('message', async ({ url, authorization, perSecond, seconds }) => {
  const { origin, pathname } = new URL(url);
  if (!pools.has(origin)) pools.set(origin, new Pool(origin, { connections: 32 }));
  const pool = pools.get(origin);
  let failed = 0;
  const send = async () => {
    try {
      const { statusCode, body } = await pool.request({ path: pathname, method: 'GET', headers: { authorization } });
      await body.dump();
      if (statusCode !== 200) failed++;
    } catch {
      failed++;
    }
  };
  const requests = [];
  const start = performance.now();
  const total = perSecond * seconds;
  while (requests.length < total) {
    const due = Math.min(total, Math.ceil(((performance.now() - start) / 1_000) * perSecond));
    while (requests.length < due) requests.push(send());
    await sleep(TICK_MS);
  }
  await Promise.all(requests);
  process.send({ sent: total, failed });
});
process.send('ready');
