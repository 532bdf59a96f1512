import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

import { describe, expect, test, vi } from 'vitest';

import { createFetchTransport, globalFetch, type Fetch } from '../../src/transport/fetch.js';
import { fetchTransport } from '../../src/transport/runtime/node.js';
import { MAX_RESPONSE_BYTES } from '../../src/transport/transport.js';
import { ask } from '../helpers/http.js';

const URL_ = 'http://keys.test/v';
const bodyText = (body: Uint8Array): string => Buffer.from(body).toString();
const answering = async (response: Response, needed = true) =>
  await fetchTransport(async () => await Promise.resolve(response)).send({ ...ask(URL_), needsBody: () => needed })
    .response;
const TOO_LARGE = { kind: 'invalid_response', message: 'keyverify: the response is larger than 65536 bytes' };

describe("a caller's own fetch", () => {
  test('is called with the URL, without redirects and with a signal', async () => {
    const own = vi.fn<Fetch>(async () => await Promise.resolve(new Response('')));
    const { body: _body, ...bodiless } = ask(URL_);
    await fetchTransport(own).send(ask(URL_)).response;
    await fetchTransport(own).send({ ...bodiless, method: 'GET', body: undefined }).response;
    const signal = expect.any(AbortSignal) as AbortSignal;
    const { headers } = bodiless;
    expect(own.mock.calls).toStrictEqual([
      [URL_, { method: 'POST', headers, body: '{"key":"sk-1"}', redirect: 'manual', signal }],
      [URL_, { method: 'GET', headers, redirect: 'manual', signal }],
    ]);
    expect(own.mock.calls[0]?.[1].signal?.aborted).toBe(false);
  });

  test('takes a redirect for one also where it was followed, or is hidden', async () => {
    const followed = Object.defineProperty(new Response('{}'), 'redirected', { value: true });
    expect((await answering(followed)).status).toBe(302);
    const hidden = Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
    expect((await answering(hidden)).status).toBe(302);
  });

  test('is given up by its signal', async () => {
    const reason = new Error('the time is up');
    const hanging: Fetch = async (_url, { signal }) =>
      await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(reason)));
    const exchange = fetchTransport(hanging).send(ask(URL_));
    exchange.abort(reason);
    await expect(exchange.response).rejects.toMatchObject({ kind: 'misconfigured', cause: reason });
  });

  test('that is over by a timeout of its own is waited for all the same, since ours decides', async () => {
    const timeout = new DOMException('the time is up', 'TimeoutError');
    const others = [
      new DOMException('gone', 'AbortError'),
      Object.assign(new Error('late'), { name: 'TimeoutError' }),
      Object.assign(new Error('late'), { code: 23 }),
    ];
    const outcome = async (error: Error): Promise<unknown> => {
      const asked = fetchTransport(async () => await Promise.reject(error)).send(ask(URL_)).response;
      return await Promise.race([asked.catch(() => 'failed'), setImmediate('waits')]);
    };
    expect(await outcome(timeout)).toBe('waits');
    for (const other of others) expect(await outcome(other)).toBe('failed');
  });

  test('is no outage where it throws or gives something else', async () => {
    const broken: readonly Fetch[] = [
      () => {
        throw new ReferenceError('x is not defined');
      },
      async () => await Promise.reject(new TypeError('x is not a function')),
      async () => await Promise.resolve(undefined as never),
    ];
    for (const fetch of broken)
      await expect(fetchTransport(fetch).send(ask(URL_)).response).rejects.toMatchObject({ kind: 'misconfigured' });
  });
});

/** A response whose body is not a web stream, as node-fetch and the polyfills have it. */
const withBody = (body: unknown, bytes = ''): Response =>
  Object.defineProperties(new Response(bytes), { body: { value: body } });

describe('the body', () => {
  test('may be absent', async () => {
    expect((await answering(new Response(null))).body).toHaveLength(0);
  });

  test('is a web stream, which is ended where it is too large', async () => {
    const cancel = vi.fn();
    const endless = new ReadableStream<Uint8Array>({
      pull: (stream) => stream.enqueue(new Uint8Array(16_384)),
      cancel,
    });
    await expect(answering(new Response(endless))).rejects.toMatchObject(TOO_LARGE);
    expect(cancel).toHaveBeenCalledOnce();
  });

  test('is a stream of Node, which is destroyed where it is too large', async () => {
    const chunks = ['{"valid"', ':true}'].map((chunk) => Buffer.from(chunk));
    expect(bodyText((await answering(withBody(Readable.from(chunks)))).body)).toBe('{"valid":true}');
    const endless = new Readable({ read: () => void endless.push(Buffer.alloc(16_384)) });
    await expect(answering(withBody(endless))).rejects.toMatchObject(TOO_LARGE);
    expect(endless.destroyed).toBe(true);
  });

  test('comes in one piece where it can be had in no other way', async () => {
    for (const none of [undefined, 'text'])
      expect(bodyText((await answering(withBody(none, '{"valid":true}'))).body)).toBe('{"valid":true}');
    await expect(answering(withBody(undefined, 'x'.repeat(MAX_RESPONSE_BYTES + 1)))).rejects.toMatchObject(TOO_LARGE);
  });

  test('has to be made of bytes', async () => {
    await expect(answering(withBody(Readable.from(['{"valid":true}'])))).rejects.toMatchObject({
      kind: 'misconfigured',
      cause: { message: 'fetch gave a body that is not made of bytes' },
    });
  });

  test('is read piece by piece where a web stream cannot be iterated', async () => {
    const { body } = new Response('{"valid":true}');
    const plain = { getReader: () => body?.getReader() };
    expect(bodyText((await answering(withBody(plain, 'not this'))).body)).toBe('{"valid":true}');
  });

  test('is not copied where it came in one piece', async () => {
    const chunk = new Uint8Array([1, 2]);
    const { buffer } = (await answering(withBody(Readable.from([chunk])))).body;
    expect(buffer).toBe(chunk.buffer);
  });

  test('is dropped where nobody needs it, in every shape, and a broken one does not matter', async () => {
    const cancel = vi.fn().mockRejectedValue(new Error('broken'));
    expect((await answering(new Response(new ReadableStream({ cancel })), false)).body).toHaveLength(0);
    expect(cancel).toHaveBeenCalledOnce();
    const stream = new Readable({ read: () => undefined });
    await answering(withBody(stream), false);
    expect(stream.destroyed).toBe(true);
    for (const other of [null, undefined, {}]) expect((await answering(withBody(other), false)).status).toBe(200);
  });

  test('that breaks off is a lost connection where it is needed', async () => {
    const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const broken = () => new Response(new ReadableStream({ start: (stream) => stream.error(cause) }), { status: 429 });
    await expect(answering(broken())).rejects.toMatchObject({ kind: 'unreachable' });
    expect(await answering(broken(), false)).toMatchObject({ status: 429 });
  });
});

test('the global fetch is looked up at each request', async () => {
  const replaced = vi.fn<Fetch>(async () => await Promise.resolve(new Response('late')));
  const transport = createFetchTransport(globalFetch, { classify: () => expect.fail('nothing went wrong') });
  vi.stubGlobal('fetch', replaced);
  try {
    expect(bodyText((await transport.send(ask(URL_)).response).body)).toBe('late');
  } finally {
    vi.unstubAllGlobals();
  }
  expect(replaced).toHaveBeenCalledOnce();
  expect(transport).not.toHaveProperty('isOverloaded');
});
