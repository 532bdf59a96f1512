import { env } from 'cloudflare:workers';
import * as lib from 'keyverify';

import { conform } from './suite.js';

// At module scope no request runs yet, and the clocks read 0.
const base = { verifyUrl: env.VERIFY_URL, retries: 0, random: () => 0, serviceToken: async () => 'service-token' };
const verifiers = {
  expiring: new lib.KeyVerifier({ ...base, cacheTtlMs: 300 }),
  refreshing: new lib.KeyVerifier({ ...base, refreshAheadRatio: 0.000_001 }),
  busy: new lib.KeyVerifier({ ...base, maxConcurrency: 1, timeoutMs: 2_000 }),
  breaking: new lib.KeyVerifier({ ...base, timeoutMs: 200, breaker: { failureThreshold: 1, openMs: 20 } }),
};

const routes = {
  conform: async ({ config }) => await conform({ lib, ...config }),
  verify: async ({ use, key }) => await verifiers[use].verify(key),
  // Responds, and so ends, before the verdict arrives.
  leave({ use, key }) {
    void verifiers[use].verify(key);
    return {};
  },
  wait: async ({ use, key }, ctx) => await verifiers[use].verify(key, { waitUntil: (work) => ctx.waitUntil(work) }),
  stats: ({ use }) => verifiers[use].stats(),
};

export default {
  async fetch(request, _env, ctx) {
    const { route, ...args } = await request.json();
    return Response.json(await routes[route](args, ctx));
  },
};
