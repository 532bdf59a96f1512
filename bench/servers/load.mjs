import autocannon from 'autocannon';

import { given } from '../lib/child.mjs';

given();

/** Puts a load on the given URL and reports rates and latencies. */
process.on('message', async ({ url, authorization, seconds, connections }) => {
  const headers = { authorization };
  const { requests, latency, non2xx, errors } = await autocannon({ url, headers, duration: seconds, connections });
  process.send({ perSecond: requests.average, p50: latency.p50, p99: latency.p99, failed: non2xx + errors });
});
process.send('ready');
