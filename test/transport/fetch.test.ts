import { describe, expect, test, vi } from 'vitest';

import { fetchTransport, globalFetchTransport, type Fetch } from '../../src/transport/fetch.js';
import { MAX_RESPONSE_BYTES, ResponseTooLarge } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';
import { until } from '../helpers/rig.js';

const transport = globalFetchTransport();
const send = async (url: string) => await transport.send(ask(url)).response;
const bodyText = (body: Uint8Array): string => Buffer.from(body).toString();

describe('asking by the global fetch', () => {
  test('sends the request as it is, and hands on what came back', async () => {
    const server = await serve((response) => response.setHeader('x-one', '1').end('{"a":1}'));
    const { status, header, body } = await send(`${server.origin}/verify?v=1`);
    expect([status, bodyText(body)]).toEqual([200, '{"a":1}']);
    expect([header('x-one'), header('X-One'), header('x-two')]).toEqual(['1', '1', undefined]);
    expect(server.heard).toMatchObject([
      {
        method: 'POST',
        path: '/verify?v=1',
        headers: { 'content-type': 'application/json', 'x-service-token': 'token-1' },
        body: '{"key":"sk-1"}',
      },
    ]);
  });

  test('takes a body up to the limit, and refuses one byte more', async () => {
    let size = MAX_RESPONSE_BYTES;
    const server = await serve((response) => response.end(Buffer.alloc(size)));
    expect((await send(server.origin)).body).toHaveLength(MAX_RESPONSE_BYTES);
    size++;
    await expect(send(server.origin)).rejects.toBeInstanceOf(ResponseTooLarge);
  });

  test('takes a response that has no body for one that says nothing', async () => {
    const { response } = fetchTransport(async () => await Promise.resolve(new Response(null))).send(
      ask('http://key.test/'),
    );
    expect(await response).toMatchObject({ status: 200, body: new Uint8Array() });
  });

  test('hangs up on a body that has no end', async () => {
    const server = await serve((response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(16_384), () => setImmediate(more));
      };
      more();
    });
    await expect(send(server.origin)).rejects.toBeInstanceOf(ResponseTooLarge);
    await until(() => server.cutOff === 1);
  });

  test('takes an answer without a body for an empty one', async () => {
    const server = await serve((response) => response.end());
    expect((await send(server.origin)).body).toHaveLength(0);
    const bare = fetchTransport(() => Promise.resolve(new Response(null)));
    expect((await bare.send(ask('http://x.test')).response).body).toHaveLength(0);
  });

  test('follows no redirect: the token does not travel on', async () => {
    const elsewhere = await serve((response) => response.end());
    const server = await serve((response) => response.writeHead(307, { location: elsewhere.origin }).end());
    expect(await send(server.origin)).toMatchObject({ status: 307 });
    expect(elsewhere.heard).toEqual([]);
  });

  test('fails where the connection is reset, before the answer or in the middle of it', async () => {
    const before = await serve((response) => response.destroy());
    await expect(send(before.origin)).rejects.toThrow();
    const within = await serve((response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    await expect(send(within.origin)).rejects.toThrow();
  });

  test('drops the body of any answer but 200, and frees its connection', async () => {
    const server = await serve((response) => {
      response.writeHead(503);
      response.write('never ends');
    });
    const { status, body } = await send(server.origin);
    expect([status, body.length]).toEqual([503, 0]);
    await until(() => server.cutOff === 1);
  });

  test('frees the connection when it is given up', async () => {
    const server = await serve(() => undefined);
    const exchange = transport.send(ask(server.origin));
    await until(() => server.heard.length === 1);
    const reason = new Error('the time is up');
    exchange.abort(reason);
    await expect(exchange.response).rejects.toBe(reason);
    await until(() => server.cutOff === 1);
  });

  test('hears whoever replaces it later', async () => {
    const replaced = vi.fn<Fetch>(() => Promise.resolve(new Response('late', { status: 200 })));
    vi.stubGlobal('fetch', replaced);
    try {
      expect(bodyText((await send('http://x.test/v')).body)).toBe('late');
    } finally {
      vi.unstubAllGlobals();
    }
    expect(replaced).toHaveBeenCalledOnce();
  });
});

describe("asking by the caller's own fetch", () => {
  const answering = async (response: Response) =>
    await fetchTransport(() => Promise.resolve(response)).send(ask('http://x.test/v')).response;

  test('asks it for the URL, without redirects and with a signal', async () => {
    const calls: Parameters<Fetch>[] = [];
    const own = fetchTransport((...call) => {
      calls.push(call);
      return Promise.resolve(new Response(''));
    });
    await own.send(ask('http://x.test/v')).response;
    const [url, init] = calls[0] ?? [];
    expect(url).toBe('http://x.test/v');
    expect(init).toEqual({
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-service-token': 'token-1' },
      body: '{"key":"sk-1"}',
      redirect: 'manual',
      signal: expect.any(AbortSignal) as AbortSignal,
    });
    expect(init?.signal?.aborted).toBe(false);
  });

  test('takes a redirect for one also where it was followed, or is hidden', async () => {
    const followed = Object.defineProperty(new Response('{}'), 'redirected', { value: true });
    expect(await answering(followed)).toMatchObject({ status: 302, body: new Uint8Array() });
    const hidden = Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
    expect(await answering(hidden)).toMatchObject({ status: 302 });
  });

  test('goes by the status, whatever became of the body behind it', async () => {
    const broken = new ReadableStream({ start: (stream) => stream.error(new Error('reset')) });
    expect(await answering(new Response(broken, { status: 429 }))).toMatchObject({ status: 429 });
  });

  test('stops reading where there is too much', async () => {
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (stream) => stream.enqueue(new Uint8Array(16_384)),
      cancel: () => void (cancelled = true),
    });
    await expect(answering(new Response(endless))).rejects.toBeInstanceOf(ResponseTooLarge);
    expect(cancelled).toBe(true);
  });

  test('fails with its error', async () => {
    const error = new TypeError('fetch failed');
    await expect(fetchTransport(() => Promise.reject(error)).send(ask('http://x.test')).response).rejects.toBe(error);
  });
});
