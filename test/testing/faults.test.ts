import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { startKeyServer, type Fault, type KeyServer } from 'keyverify/testing';

import { ask, rawAsk, until } from './client.js';

const VERDICT = '{"valid":true,"client":"acme","tenant":"cust-A"}';

let server: KeyServer;
beforeAll(async () => {
  server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
});
afterEach(() => {
  vi.useRealTimers();
  server.clearFaults();
});
afterAll(async () => {
  await server.close();
});

const faced = (): { kind: Fault['kind'] | undefined; status: number | undefined } => {
  const request = server.requests.at(-1);
  return { kind: request?.fault, status: request?.status };
};
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('faults of the connection', () => {
  it('hangs until the client leaves', async () => {
    server.injectFault({ kind: 'hang' });
    const before = server.requests.length;
    const client = await rawAsk(server);
    await until(() => server.requests.length > before);
    expect(server.counts.inFlight).toBe(1);
    client.socket.destroy();
    await until(() => server.counts.inFlight === 0);
    expect(client.text()).toBe('');
    expect(faced()).toEqual({ kind: 'hang', status: undefined });
  });

  it('delays the right answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    server.injectFault({ kind: 'delay', ms: 600_000 });
    const client = await rawAsk(server);
    await until(() => server.counts.inFlight === 1 && vi.getTimerCount() === 1);
    vi.advanceTimersByTime(599_999);
    expect(faced()).toEqual({ kind: 'delay', status: undefined });
    vi.advanceTimersByTime(1);
    await until(() => bodyOf(client.text()) === VERDICT);
    expect(faced()).toEqual({ kind: 'delay', status: 200 });
    client.socket.destroy();
  });

  it.each([
    { kind: 'delay', ms: 600_000 },
    { kind: 'drip', intervalMs: 600_000 },
  ] as const)('leaves no timer behind when the client leaves: %o', async (fault) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    server.injectFault(fault);
    const client = await rawAsk(server);
    await until(() => server.counts.inFlight === 1 && vi.getTimerCount() === 1);
    client.socket.destroy();
    await until(() => server.counts.inFlight === 0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('resets before the headers, on this connection alone', async () => {
    const other = await rawAsk(server);
    await until(() => bodyOf(other.text()) === VERDICT);
    server.injectFault({ kind: 'reset-before-headers' });
    const client = await rawAsk(server);
    expect(await client.ended).toBe('ECONNRESET');
    expect(client.text()).toBe('');
    expect(faced()).toEqual({ kind: 'reset-before-headers', status: undefined });
    expect(server.counts.openConnections).toBeGreaterThan(0);
    expect(other.socket.readyState).toBe('open');
    other.socket.destroy();
  });

  it('resets after the headers', async () => {
    server.injectFault({ kind: 'reset-after-headers' });
    const client = await rawAsk(server);
    expect(await client.ended).toBe('ECONNRESET');
    expect(client.text()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(client.text()).toContain(`content-length: ${VERDICT.length}\r\n`);
    expect(bodyOf(client.text())).toBe('');
    expect(faced()).toEqual({ kind: 'reset-after-headers', status: 200 });
  });

  it('closes in the middle of the body', async () => {
    server.injectFault({ kind: 'close-mid-body' });
    const client = await rawAsk(server);
    expect(await client.ended).toBe('end');
    expect(client.text()).toContain(`content-length: ${VERDICT.length}\r\n`);
    expect(bodyOf(client.text())).toBe(VERDICT.slice(0, VERDICT.length / 2));
  });

  it.each([{ kind: 'drip' }, { kind: 'drip', intervalMs: 1 }] as const)('drips byte by byte: %o', async (fault) => {
    server.injectFault(fault);
    const client = await rawAsk(server);
    await until(() => bodyOf(client.text()) === VERDICT);
    expect(client.pieces()).toBeGreaterThan(VERDICT.length / 4);
    client.socket.destroy();
  });
});

describe('faults of the answer', () => {
  it.each([401, 403, 404, 429, 500, 502, 503])('answers %i', async (status) => {
    server.injectFault({ kind: 'status', status });
    const answer = await ask(server, 'sk-1');
    expect(answer.status).toBe(status);
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect(faced()).toEqual({ kind: 'status', status });
  });

  it.each([3, 'Mon, 01 Jun 2026 00:00:00 GMT'])('asks to come back after %s', async (retryAfter) => {
    server.injectFault({ kind: 'status', status: 503, retryAfter });
    expect((await ask(server, 'sk-1')).headers['retry-after']).toBe(String(retryAfter));
  });

  it.each([
    [{ kind: 'redirect', location: 'http://127.0.0.1:1/' }, 307],
    [{ kind: 'redirect', location: 'http://127.0.0.1:1/', status: 302 }, 302],
  ] as const)('redirects: %o', async (fault, status) => {
    server.injectFault(fault);
    const answer = await ask(server, 'sk-1');
    expect(answer.status).toBe(status);
    expect(answer.headers['location']).toBe('http://127.0.0.1:1/');
  });

  it.each<[Fault, string, string | undefined]>([
    [
      { kind: 'html' },
      '<!doctype html><title>Welcome</title><p>Please sign in to use this network.',
      'text/html; charset=utf-8',
    ],
    [{ kind: 'truncated-json' }, VERDICT.slice(0, VERDICT.length / 2), 'application/json'],
    [{ kind: 'wrong-shape' }, '{"ok":true}', 'application/json'],
    [{ kind: 'wrong-content-type' }, VERDICT, 'text/plain'],
    [{ kind: 'raw', status: 200 }, '', undefined],
    [{ kind: 'raw', status: 200, headers: { 'Content-Type': 'a/b' }, body: 'text' }, 'text', 'a/b'],
    [{ kind: 'raw', status: 200, body: new Uint8Array([104, 105]) }, 'hi', undefined],
  ])('answers 200 with %o', async (fault, body, type) => {
    server.injectFault(fault);
    const answer = await ask(server, 'sk-1');
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(body);
    expect(answer.body.length).toBe(Number(answer.headers['content-length']));
    expect(answer.headers['content-type']).toBe(type);
  });

  it.each([
    [{ kind: 'huge-body' }, 10_000_000],
    [{ kind: 'huge-body', bytes: 70_000 }, 70_000],
  ] as const)('sends blanks before the right answer: %o', async (fault, bytes) => {
    server.injectFault(fault);
    const { headers, body } = await ask(server, 'sk-1');
    expect(headers).not.toHaveProperty('content-length');
    expect(body.length).toBe(bytes + VERDICT.length);
    expect(body.trimStart()).toBe(VERDICT);
  });

  it('gives up on the blanks when the client leaves', async () => {
    server.injectFault({ kind: 'huge-body', bytes: 1e12 });
    const client = await rawAsk(server);
    await until(() => client.text().length > 100_000);
    client.socket.destroy();
    await until(() => server.counts.inFlight === 0);
    expect(faced()).toEqual({ kind: 'huge-body', status: 200 });
  });
});

describe('how long a fault lasts', () => {
  const statuses = async (count: number): Promise<number[]> => {
    const seen: number[] = [];
    while (seen.length < count) seen.push((await ask(server, 'sk-1')).status);
    return seen;
  };

  it('lasts until it is replaced or cleared', async () => {
    server.injectFault({ kind: 'status', status: 503 });
    expect(await statuses(3)).toEqual([503, 503, 503]);
    server.injectFault({ kind: 'status', status: 500 });
    expect(await statuses(1)).toEqual([500]);
    server.clearFaults();
    expect(await statuses(1)).toEqual([200]);
  });

  it('lasts for the next few requests', async () => {
    const before = server.counts;
    server.injectFault({ kind: 'status', status: 503 }, { times: 2 });
    expect(await statuses(4)).toEqual([503, 503, 200, 200]);
    expect(server.counts).toMatchObject({ faults: before.faults + 2, valid: before.valid + 2 });
  });

  it('calls a function for each request', async () => {
    server.injectFault(({ scope }) => (scope === 'cust-A' ? { kind: 'status', status: 500 } : undefined), { times: 3 });
    expect((await ask(server, 'sk-1', { scope: 'cust-A' })).status).toBe(500);
    expect(await statuses(2)).toEqual([200, 200]);
    expect((await ask(server, 'sk-1', { scope: 'cust-A' })).status).toBe(200);
  });
});
