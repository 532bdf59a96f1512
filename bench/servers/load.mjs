import autocannon from 'autocannon';

import { given } from '../lib/child.mjs';

given();

/** Drives load at whatever it is told to, and says what came of it. */
process.on('message', async ({ url, authorization, seconds, connections }) => {
  const headers = { authorization };
  const { requests, latency, non2xx, errors } = await autocannon({ url, headers, duration: seconds, connections });
  process.send({ perSecond: requests.average, p50: latency.p50, p99: latency.p99, failed: non2xx + errors });
});
process.send('ready');
