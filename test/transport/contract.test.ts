import { Agent } from 'undici';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { transportCases, type MakeTransport } from 'keyverify/testing';

import { dispatcherTransport, fetchTransport, runtimeTransport } from '../../src/transport/runtime/node.js';
import { TransportError, type Transport } from '../../src/transport/transport.js';

const viaAgent: MakeTransport = (verifyUrl) => {
  const agent = new Agent();
  onTestFinished(async () => await agent.destroy());
  return dispatcherTransport?.(verifyUrl, agent) ?? fetchTransport(fetch);
};

const TRANSPORTS: Readonly<Record<string, MakeTransport>> = {
  'the pool of Node': (verifyUrl) => runtimeTransport({ verifyUrl, timeoutMs: 5000, maxConcurrency: 64 }),
  "a caller's agent": viaAgent,
  'fetch on Node': () => fetchTransport(async (url, init) => await fetch(url, init)),
};

describe.each(Object.entries(TRANSPORTS))('%s', (_name, makeTransport) => {
  test.each(transportCases(makeTransport))('$name', async ({ run }) => await run());
});

describe('the suite finds fault with a transport that', () => {
  const good = fetchTransport(async (url, init) => await fetch(url, init));
  const run = async (name: string, transport: Transport) =>
    await transportCases(() => transport)
      .find((candidate) => candidate.name === name)
      ?.run();

  test('follows redirects', async () => {
    const following = fetchTransport(async (url, init) => {
      const response = await fetch(url, { ...init, redirect: 'follow' });
      return new Response(response.body, response);
    });
    await expect(run('follows no redirect', following)).rejects.toThrow('status 200');
  });

  test('rejects with errors of its own, or with another kind', async () => {
    const rejecting = (error: Error): Transport => ({
      send: () => ({ response: Promise.reject(error), abort: () => undefined }),
    });
    const refused = 'cannot reach a server that is not there, to which nothing has been sent';
    await expect(run(refused, rejecting(new Error('raw')))).rejects.toThrow('it is no TransportError: Error: raw');
    await expect(run(refused, rejecting(new TransportError('overloaded', 'x')))).rejects.toThrow('overloaded');
  });

  test('hands on the body of every status', async () => {
    const greedy: Transport = { send: (request) => good.send({ ...request, needsBody: () => true }) };
    const name = 'hands on the body of every status that needs one, and of no other';
    await expect(run(name, greedy)).rejects.toThrow('Expected values to be strictly deep-equal');
  });

  test('hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const hanging: Transport = { send: () => ({ response: new Promise(() => undefined), abort: () => undefined }) };
    const ended = vi.fn();
    const running = run('follows no redirect', hanging).finally(ended);
    const rejection = expect(running).rejects.toThrow('it hangs');
    while (ended.mock.calls.length === 0) await vi.advanceTimersByTimeAsync(10_000);
    await rejection;
  });
});
