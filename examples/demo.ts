/**
 * A guarded service, from the first request through an outage to recovery, with a real key server: `npm run demo`.
 * It exits with 0 only if every step went as documented.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { styleText } from 'node:util';

import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/node';
import { startKeyServer } from 'keyverify/testing';

const TTL_MS = 1_000;
const color = (style: 'bold' | 'dim' | 'green' | 'red', text: string): string =>
  process.stdout.isTTY ? styleText(style, text) : text;
const say = (text = ''): void => void process.stdout.write(`${text}\n`);
const wait = async (ms: number): Promise<void> => await new Promise((resolve) => void setTimeout(resolve, ms));

const keyServer = await startKeyServer({
  serviceTokens: ['speech-service-token'],
  keys: {
    'sk-acme-1': { client: 'acme', tenant: 'cust-A', keyId: 'key-1', claims: { plan: 'pro' } },
    'sk-acme-2': { client: 'acme', tenant: 'cust-A', keyId: 'key-2' },
    'sk-globex-1': { client: 'globex', tenant: 'cust-B', keyId: 'key-3' },
  },
});

const options = {
  verifyUrl: keyServer.verifyUrl,
  serviceToken: 'speech-service-token',
  scope: 'cust-A',
  cacheTtlMs: TTL_MS,
  refreshAheadRatio: 1,
};
const verifier = new KeyVerifier(options);
const lenient = new KeyVerifier({ ...options, failOpen: true });
await verifier.warmUp();

/** A guarded service. It says in a header what the verifier said. */
async function startService(verifier: KeyVerifier<boolean>): Promise<Server> {
  const listener = apiKeyAuth(
    verifier,
    (_request: IncomingMessage, response: ServerResponse, identity) => {
      response.setHeader(
        'x-verify',
        `valid, source ${identity?.source ?? 'fail-open'}, client ${identity?.client ?? 'nobody'}`,
      );
      response.end();
    },
    {
      onDenied: ({ reason }, { result }) => ({
        headers: { 'x-verify': `denied, source ${result?.source ?? 'local'}, reason ${reason}` },
      }),
    },
  );
  const service = createServer(listener);
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  return service;
}

const strict = await startService(verifier);
const open = await startService(lenient);

interface Step {
  readonly title: string;
  readonly saw: string;
  readonly asked: number;
  readonly ms: number;
  readonly right: boolean;
}
const steps: Step[] = [];

/** Sends one request to the service, and checks the answer and what the key server was asked. */
async function request(title: string, service: Server, key: string, expected: string, asks: number): Promise<void> {
  const address = service.address();
  if (address === null || typeof address === 'string') throw new Error('the service does not listen');
  const before = keyServer.counts.requests;
  const startedAt = performance.now();
  const response = await fetch(`http://127.0.0.1:${address.port}/`, {
    headers: key === '' ? {} : { authorization: `Bearer ${key}` },
  });
  await response.arrayBuffer();
  const ms = performance.now() - startedAt;
  const asked = keyServer.counts.requests - before;
  const saw = `${response.status}, ${response.headers.get('x-verify') ?? ''}`;
  const right = saw === expected && asked === asks;
  steps.push({ title, saw, asked, ms, right });
  say(`  ${right ? color('green', 'ok ') : color('red', 'BAD')} ${title}`);
  say(color('dim', `      ${saw}; key server asked ${asked === 1 ? 'once' : `${asked} times`}; ${ms.toFixed(1)} ms`));
  if (!right) say(`      expected: ${expected}; key server asked ${asks} times`);
}

say(color('bold', 'A key server, and a service guarded by keyverify/node. Both are real, on loopback.'));
say(`key server ${keyServer.verifyUrl}, scope cust-A, cacheTtlMs ${TTL_MS}`);

say('\nThe key server answers. It is asked once for each key; then the verdict is cached.');
const acme = 'client acme';
await request('a valid key, for the first time', strict, 'sk-acme-1', `200, valid, source server, ${acme}`, 1);
await request('the same key again', strict, 'sk-acme-1', `200, valid, source cache, ${acme}`, 0);
await request('a made-up key', strict, 'sk-made-up', '401, denied, source server, reason unknown_key', 1);
await request('another customer’s key', strict, 'sk-globex-1', '403, denied, source server, reason scope_mismatch', 1);
await request('no key at all', strict, '', '401, denied, source local, reason missing_key', 0);

say('\nA key is revoked. That takes effect when its cached verdict expires.');
await request('another valid key', strict, 'sk-acme-2', `200, valid, source server, ${acme}`, 1);
keyServer.revoke('sk-acme-2');
await request('revoked, within the TTL', strict, 'sk-acme-2', `200, valid, source cache, ${acme}`, 0);
await wait(TTL_MS);
await request('revoked, after the TTL', strict, 'sk-acme-2', '401, denied, source server, reason revoked', 1);

say('\nThe key server goes down. Known keys keep working, new keys are denied with 503, not 401.');
await keyServer.stop();
await request('a known key', strict, 'sk-acme-1', `200, valid, source stale, ${acme}`, 0);
await request('a revoked key', strict, 'sk-acme-2', '401, denied, source cache, reason revoked', 0);
await request('a key never seen', strict, 'sk-unseen', '503, denied, source fail-closed, reason unavailable', 0);
await request('the same, failing open', open, 'sk-unseen', '200, valid, source fail-open, client nobody', 0);

say('\nThe key server comes back.');
await keyServer.start();
await wait(1_000);
await request('the known key', strict, 'sk-acme-1', `200, valid, source server, ${acme}`, 1);
await request('the key never seen', strict, 'sk-unseen', '401, denied, source server, reason unknown_key', 1);

const width = Math.max(...steps.map(({ title }) => title.length));
say(`\n${color('bold', `${'what'.padEnd(width)}  ask   time  result`)}`);
for (const { title, saw, asked, ms, right } of steps)
  say(
    `${title.padEnd(width)}  ${String(asked).padStart(3)} ${ms.toFixed(1).padStart(6)}  ${saw}${right ? '' : '  WRONG'}`,
  );

await Promise.all([verifier.close(), lenient.close(), keyServer.close()]);
strict.close();
open.close();

const wrong = steps.filter(({ right }) => !right).length;
say(`\n${steps.length - wrong} of ${steps.length} steps went as documented.`);
process.exitCode = wrong === 0 ? 0 : 1;
