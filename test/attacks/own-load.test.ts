import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { describe, expect, test, type TestContext } from 'vitest';

import { isFailedOpen, type Fetch, type KeyVerifierOptions } from 'keyverify';

import { build, during, getsIn, letIn, madeUp, newcomer, settleIn, sleep, startServer } from './lab.js';

/** One after another: each needs the machine for itself. */

const BUSY_MS = 600;

function compute(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Outside this process, so that answers come in while it computes. */
const SERVER = `
  const { createServer } = require('node:http');
  const { parentPort } = require('node:worker_threads');
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk)).on('end', () => setTimeout(() => {
      const good = JSON.parse(body).key.startsWith('sk-good-');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(good ? { valid: true, client: 'acme', tenant: 'cust-A' } : { valid: false, reason: 'unknown_key' }));
    }, 20));
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

/** It gives up sooner than the verifiers do. */
const impatient: Fetch = async (url, { signal, ...init }) =>
  await fetch(url, { ...init, signal: AbortSignal.any([AbortSignal.timeout(250), ...(signal ? [signal] : [])]) });

const TRANSPORTS = [
  { way: 'the pool', transport: {} },
  { way: 'fetch', transport: { fetch: globalThis.fetch } },
  { way: 'a fetch with a timeout of its own', transport: { fetch: impatient } },
];

/** With `failOpen` on and off at once: the machine is busy for both. */
async function pair(context: TestContext, url: string, options: KeyVerifierOptions) {
  const verifiers = [true, false].map((failOpen) => build(context, url, { ...options, failOpen }));
  await Promise.all(verifiers.map(settleIn));
  const ask = async () => await Promise.all(verifiers.map(async (verifier) => await verifier.verify(madeUp())));
  const newcomersGetIn = async () =>
    await Promise.all(verifiers.map(async (verifier) => await getsIn(verifier, newcomer())));
  return { ask, newcomersGetIn, breakers: () => verifiers.map((verifier) => verifier.stats().breaker) };
}

const HELD = { letIn: {}, breakers: ['closed', 'closed'], newcomers: [true, true] };

describe.each(TRANSPORTS)('$way', ({ transport }) => {
  test.for([
    { busy: 'once', times: 1, where: 'in this process' },
    { busy: 'twice', times: 2, where: 'in this process' },
    { busy: 'twice', times: 2, where: 'elsewhere' },
  ])('600 ms of computing, $busy, the server being $where', async ({ times, where }, context) => {
    let url: string;
    if (where === 'elsewhere') {
      const worker = new Worker(SERVER, { eval: true });
      context.onTestFinished(async () => {
        await worker.terminate();
      });
      const port = await new Promise<number>((resolve) => worker.once('message', resolve));
      url = `http://127.0.0.1:${port}/`;
    } else {
      const server = await startServer(context);
      server.fault = () => ({ slowMs: 20 });
      url = server.url;
    }
    const { ask, breakers, newcomersGetIn } = await pair(context, url, { ...transport, timeoutMs: 400 });

    const results = [];
    for (let i = 0; i < times; i++) {
      const asked = Array.from({ length: 12 }, ask);
      // So that the requests have left.
      await sleep(10);
      compute(BUSY_MS);
      results.push(...(await Promise.all(asked)));
    }

    const held = { letIn: letIn(results.flat()), breakers: breakers(), newcomers: await newcomersGetIn() };
    expect(held).toEqual(HELD);
  });

  test('computing in short turns that leave hardly any time between them', async (context) => {
    const server = await startServer(context);
    const { ask, breakers, newcomersGetIn } = await pair(context, server.url, { ...transport, timeoutMs: 300 });
    server.fault = () => ({ slowMs: 20 });
    const asked = during(800, 20, ask);
    await during(800, 130, () => compute(120));
    const results = (await asked).flat();
    expect({ letIn: letIn(results), breakers: breakers(), newcomers: await newcomersGetIn() }).toEqual(HELD);
  });

  test.skipIf(process.platform === 'win32')('a full thread pool, so that DNS has to wait', async (context) => {
    const server = await startServer(context);
    // A connection for each request, so that each needs a lookup.
    server.headers = { connection: 'close' };
    const url = server.url.replace('127.0.0.1', 'localhost');
    const { ask, breakers, newcomersGetIn } = await pair(context, url, { ...transport, timeoutMs: 600 });
    const release = fillThreadPool();
    const results = (await during(800, 100, ask).finally(release)).flat();
    expect({ letIn: letIn(results), breakers: breakers(), newcomers: await newcomersGetIn() }).toEqual(HELD);
  });

  test.skipIf(process.platform === 'win32')(
    'a full thread pool hides no outage that needs no thread',
    async (context) => {
      const server = await startServer(context);
      const verifier = build(context, server.url, { ...transport, timeoutMs: 600, failOpen: true });
      await settleIn(verifier);
      const release = fillThreadPool();
      server.fault = () => 'reset';
      const reset = await during(1_200, 100, async () => await verifier.verify(madeUp())).finally(release);
      expect(reset.some(isFailedOpen)).toBe(true);
    },
  );
});

/** Opens a pipe that nobody writes to, once for each thread: that takes no computing. */
function fillThreadPool(): () => Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'keyverify-'));
  const pipe = join(directory, 'pipe');
  execFileSync('/usr/bin/env', ['mkfifo', pipe]);
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
  const readers = Array.from({ length: threads }, async () => await open(pipe, 'r'));
  return async () => {
    const writer = openSync(pipe, 'w');
    for (const reader of await Promise.all(readers)) await reader.close();
    closeSync(writer);
    rmSync(directory, { recursive: true });
  };
}
