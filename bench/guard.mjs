import { KeyVerifier } from '../dist/index.js';
import { TOKEN, instantTransport, keyOf } from './lib/keys.mjs';

/**
 * Goes red when the hot path allocates more than it did. No time is asserted, only the bytes that a hit leaves behind, which
 * are the same in every run and nearly the same in every Node: code is not optimised here (it would be in one way or
 * another), and the young generation is so large that nothing is collected in between.
 */
const CALLS = 4_000;
const KEYS = 64;
const TURNS = 10;
/** 370 and 690 as measured; a result object for each hit would add 80 at the least. */
const MOST = { 'peek()': 400, 'await verify()': 730 };

const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i));
const verifier = new KeyVerifier({
  verifyUrl: 'http://127.0.0.1:1/',
  serviceToken: TOKEN,
  transport: instantTransport(() => 0),
  cacheTtlMs: 86_400_000,
});
for (const key of keys) await verifier.verify(key);

const heapUsed = () => process.memoryUsage().heapUsed;

async function bytes(run) {
  let least = Infinity;
  for (let turn = 0; turn < TURNS; turn++) {
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
};
for (const [name, most] of Object.entries(MOST)) {
  const held = measured[name] <= most;
  console.log(`${name}: ${measured[name].toFixed(0)} bytes a hit, at the most ${most}: ${held ? 'held' : 'TOO MANY'}`);
  if (!held) process.exitCode = 1;
}
