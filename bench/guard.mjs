import { MeterProvider } from '@opentelemetry/sdk-metrics';

import { createGuard } from '../dist/guard.js';
import { KeyVerifier } from '../dist/index.js';
import { otel } from '../dist/otel.js';
import { memoryFleet } from '../dist/testing.js';
import { TOKEN, instantTransport, keyOf } from './lib/keys.mjs';

/**
 * Fails when a call allocates more than it used to, or leaves more behind. It asserts bytes, not time: with the optimising compiler off and a
 * young generation that never fills up, they are the same in every run and nearly the same in every version of Node.
 */
const CALLS = 4_000;
const KEYS = 64;
const ROUNDS = 10;
/** Measured: 378, 404, 693 (three times), 1 361 and 3 234. A result object for each hit would add at least 80. */
const LIMITS = {
  'peek()': 400,
  'verifyCached()': 430,
  'await verify()': 730,
  'await verify(), with otel': 730,
  'await verify(), in a fleet with otel': 730,
  'a guarded request': 1_450,
  'a miss': 3_500,
};

/**
 * What a miss leaves that only a major collection finds to be garbage. Measured: 470, of which the cache is a third. Anything that
 * links one question to the next (V8's table of a `Set` does when it is filled anew, to the table that follows it) adds
 * thousands, which minor collections copy: that was a third of the processor time of a miss.
 */
const MOST_LEFT = 600;
const AT_ONCE = 48;
const BATCH = 200;

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

const guard = createGuard(verifier);
const requests = keys.map((key) => {
  const values = { authorization: [`Bearer ${key}`] };
  return { header: (name) => values[name] ?? [], url: '/' };
});

// The transport answers in the same turn, so what is left is our own part of a miss, with making and reading its messages.
const body = new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A","key_id":"k-1","plan":"pro"}');
const header = (name) => (name === 'content-type' ? 'application/json' : undefined);
const response = Promise.resolve({ status: 200, header, body });
const exchange = { response, abort: () => undefined };
const missing = new KeyVerifier({ ...options, transport: { send: () => exchange }, maxEntries: 1 });

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

const each = (once) => () => {
  for (let i = 0; i < CALLS; i++) once(i % KEYS);
};
const eachAwaited = (once) => async () => {
  for (let i = 0; i < CALLS; i++) await once(i % KEYS);
};
/** How much a miss leaves after minor collections, with many at once and answers that take a pass of the event loop. */
async function bytesLeft() {
  const later = {
    send: () => ({ response: new Promise((resolve) => setImmediate(resolve, response)), abort: () => undefined }),
  };
  const verifier = new KeyVerifier({ ...options, transport: later, maxEntries: KEYS });
  let asked = 0;
  const batch = async () => {
    const end = asked + BATCH;
    const ask = async () => {
      while (asked < end) await verifier.verify(keyOf(asked++));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
    // Nothing is under way, so that nothing that is in use is counted.
    for (let pass = 0; pass < 2; pass++) await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc({ type: 'minor' });
  };
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc();
    const before = heapUsed();
    for (let calls = 0; calls < CALLS; calls += BATCH) await batch();
    globalThis.gc({ type: 'minor' });
    least = Math.min(least, (heapUsed() - before) / CALLS);
  }
  if (verifier.stats().requests !== ROUNDS * CALLS) throw new Error('a miss was none');
  return least;
}

const measured = {
  'peek()': await bytes(each((i) => verifier.peek(keys[i]))),
  'verifyCached()': await bytes(each((i) => verifier.verifyCached(keys[i]))),
  'await verify()': await bytes(eachAwaited((i) => verifier.verify(keys[i]))),
  'await verify(), with otel': await bytes(eachAwaited((i) => observed.verify(keys[i]))),
  'await verify(), in a fleet with otel': await bytes(eachAwaited((i) => member.verify(keys[i]))),
  'a guarded request': await bytes(each((i) => guard(requests[i]))),
  'a miss': await bytes(eachAwaited((i) => missing.verify(keys[i]))),
};
await member.close();
if (guard(requests[0]).allowed !== true) throw new Error('the guard denies');
if (missing.stats().requests !== ROUNDS * CALLS) throw new Error('a miss was none');
for (const [name, limit] of Object.entries(LIMITS)) {
  const ok = measured[name] <= limit;
  console.log(`${ok ? 'ok' : 'TOO MUCH'}: ${name} allocates ${measured[name].toFixed(0)} bytes, limit ${limit}`);
  if (!ok) process.exitCode = 1;
}
const left = await bytesLeft();
console.log(
  `${left <= MOST_LEFT ? 'ok' : 'TOO MUCH'}: a miss leaves ${left.toFixed(0)} bytes for a major collection, limit ${MOST_LEFT}`,
);
if (left > MOST_LEFT) process.exitCode = 1;
