import { MeterProvider } from '@opentelemetry/sdk-metrics';

import { KeyVerifier } from '../dist/index.js';
import { otel } from '../dist/otel.js';
import { memoryFleet } from '../dist/testing/index.js';
import { TOKEN, instantTransport, keyOf } from './lib/keys.mjs';

/**
 * Fails when a cache hit allocates more than it used to. It asserts bytes, not time: with the optimising compiler off and a
 * young generation that never fills up, they are the same in every run and nearly the same in every version of Node.
 */
const CALLS = 4_000;
const KEYS = 64;
const ROUNDS = 10;
/** Measured: 370 and 690. A result object for each hit would add at least 80. */
const LIMITS = {
  'peek()': 400,
  'await verify()': 730,
  'await verify(), with otel': 730,
  'await verify(), in a fleet with otel': 730,
};

const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i));
const options = {
  verifyUrl: 'http://127.0.0.1:1/',
  serviceToken: TOKEN,
  transport: instantTransport(() => 0),
  cacheTtlMs: 86_400_000,
};
const verifier = new KeyVerifier(options);
const observers = [otel({ meterProvider: new MeterProvider() })];
const observed = new KeyVerifier({ ...options, observers });
const member = new KeyVerifier({ ...options, ...memoryFleet(), observers });
for (const key of keys) await Promise.all([verifier, observed, member].map((each) => each.verify(key)));

const heapUsed = () => process.memoryUsage().heapUsed;

async function bytes(run) {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc();
    const before = heapUsed();
    await run();
    least = Math.min(least, (heapUsed() - before) / CALLS);
  }
  return least;
}

const measured = {
  'peek()': await bytes(() => {
    for (let i = 0; i < CALLS; i++) verifier.peek(keys[i % KEYS]);
  }),
  'await verify()': await bytes(async () => {
    for (let i = 0; i < CALLS; i++) await verifier.verify(keys[i % KEYS]);
  }),
  'await verify(), with otel': await bytes(async () => {
    for (let i = 0; i < CALLS; i++) await observed.verify(keys[i % KEYS]);
  }),
  'await verify(), in a fleet with otel': await bytes(async () => {
    for (let i = 0; i < CALLS; i++) await member.verify(keys[i % KEYS]);
  }),
};
await member.close();
for (const [name, limit] of Object.entries(LIMITS)) {
  const ok = measured[name] <= limit;
  console.log(`${ok ? 'ok' : 'TOO MUCH'}: ${name} allocates ${measured[name].toFixed(0)} bytes a hit, limit ${limit}`);
  if (!ok) process.exitCode = 1;
}
