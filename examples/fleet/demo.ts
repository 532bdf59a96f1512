/**
 * Three services that share verdicts and revocations, through a real Redis or, without one, in memory: `npm run demo:fleet`.
 * It exits with 0 only if every step went as documented.
 */
import { styleText } from 'node:util';

import { KeyVerifier, type VerifyResult } from 'keyverify';
import { startKeyServer } from 'keyverify/testing';

import { startStore } from './store.js';

const color = (style: 'bold' | 'dim' | 'green' | 'red', text: string): string =>
  process.stdout.isTTY ? styleText(style, text) : text;
const say = (text = ''): void => void process.stdout.write(`${text}\n`);

const store = await startStore();
const keyServer = await startKeyServer({
  keys: {
    'sk-acme-1': { client: 'acme', tenant: 'cust-A', keyId: 'key-1' },
    'sk-acme-2': { client: 'acme', tenant: 'cust-A', keyId: 'key-2' },
  },
});

/** A service: what it has in common with the others is the key server and the store. */
function startService(): KeyVerifier {
  const { sharedCache, revocations } = store;
  const options = { verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token', retries: 0 };
  return new KeyVerifier({ ...options, sharedCache, revocations });
}
const services = [startService(), startService(), startService()];
await Promise.all(services.map(async (service) => await service.warmUp()));

interface Step {
  readonly title: string;
  readonly saw: string;
  readonly asked: number;
  readonly ms: number;
  readonly right: boolean;
}
const steps: Step[] = [];

function record(title: string, results: readonly VerifyResult[], expected: string, ms: number, asked: number): void {
  const saw = results.map(({ status, source }) => `${status} (${source})`).join(', ');
  const right = results.every(({ status }) => status === expected);
  steps.push({ title, saw, asked, ms, right });
  say(`  ${right ? color('green', 'ok ') : color('red', 'BAD')} ${title}`);
  say(color('dim', `      ${saw}; key server asked ${asked === 1 ? 'once' : `${asked} times`}; ${ms.toFixed(1)} ms`));
}

/** Each service verifies a key, one after the other. */
async function verify(title: string, key: string, expected: string, by: readonly KeyVerifier[] = services) {
  const before = keyServer.asked(key);
  const results: VerifyResult[] = [];
  let ms = 0;
  for (const service of by) {
    const from = performance.now();
    results.push(await service.verify(key));
    ms += performance.now() - from;
    // A verdict is written in the background, after the caller has it.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  record(title, results, expected, ms, keyServer.asked(key) - before);
}

/** Waits until all services refuse a key. */
async function refused(title: string, key: string): Promise<void> {
  const before = keyServer.asked(key);
  const from = performance.now();
  for (;;) {
    const results = await Promise.all(services.map(async (service) => await service.verify(key)));
    const done = results.every(({ status }) => status === 'rejected');
    if (done || performance.now() - from > 5_000) {
      record(title, results, 'rejected', performance.now() - from, keyServer.asked(key) - before);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

say(color('bold', `A key server, three services, and ${store.name}. All on loopback.`));

say('\nOne service asks, and all know. What they share is sealed.');
await verify('a key, at three services', 'sk-acme-1', 'verified');
await verify('the same key again, from their own caches', 'sk-acme-1', 'verified');
await verify('another key', 'sk-acme-2', 'verified');

say(`\nA key is revoked: the key server says so by ${store.command}.`);
keyServer.revoke('sk-acme-2');
await store.publish({ type: 'revoked', select: { keyId: 'key-2' } });
await refused('refused by all', 'sk-acme-2');

say('\nThe key server goes down, and a service is restarted. It knows what the others know.');
await keyServer.stop();
const restarted = startService();
await verify('a known key, at the restarted service', 'sk-acme-1', 'verified', [restarted]);
await verify('the revoked key', 'sk-acme-2', 'rejected', [restarted]);
await verify('a key that nobody knows', 'sk-unseen', 'failed-closed', [restarted]);
await keyServer.start();

for (const { title, run } of store.disturbances) {
  say(`\n${title}`);
  await run();
  const unseen = `sk-made-up-${steps.length}`;
  await verify('a known key', 'sk-acme-1', 'verified');
  await verify('the revoked key', 'sk-acme-2', 'rejected');
  await verify('a made-up key', unseen, 'rejected');
}

const width = Math.max(...steps.map(({ title }) => title.length));
say(`\n${color('bold', `${'what'.padEnd(width)}  ask    time  result`)}`);
for (const { title, saw, asked, ms, right } of steps)
  say(
    `${title.padEnd(width)}  ${String(asked).padStart(3)} ${ms.toFixed(1).padStart(7)}  ${saw}${right ? '' : '  WRONG'}`,
  );

await Promise.all([...services, restarted].map(async (service) => await service.close()));
await keyServer.close();
await store.close();

const wrong = steps.filter(({ right }) => !right).length;
say(`\n${steps.length - wrong} of ${steps.length} steps went as documented.`);
process.exitCode = wrong === 0 ? 0 : 1;
