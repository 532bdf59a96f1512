import { Agent, Pool } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';

import { dispatcherTransport, type Dispatcher } from '../../src/transport/undici.js';
import { MAX_RESPONSE_BYTES, ResponseTooLarge, type Transport } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';
import { breathe, until } from '../helpers/rig.js';

function pool(origin: string, connections = 1): Pool {
  const made = new Pool(origin, { connections, pipelining: 1 });
  onTestFinished(async () => await made.destroy());
  return made;
}

function through(origin: string, connections = 1): Transport {
  const made = pool(origin, connections);
  return dispatcherTransport(origin, () => made);
}

const send = async (transport: Transport, url: string) => await transport.send(ask(url)).response;

describe('asking through a dispatcher', () => {
  test('sends the request as it is, and hands on what came back', async () => {
    const server = await serve((response) =>
      response.writeHead(200, { 'x-one': '1', 'x-many': ['a', 'b'] }).end('{"a":1}'),
    );
    const url = `${server.origin}/verify?v=1`;
    const made = pool(server.origin);
    const { status, header, body } = await send(
      dispatcherTransport(url, () => made),
      url,
    );
    expect([status, Buffer.from(body).toString()]).toEqual([200, '{"a":1}']);
    expect([header('x-one'), header('x-many'), header('x-two')]).toEqual(['1', 'a, b', undefined]);
    expect(server.heard).toMatchObject([
      {
        method: 'POST',
        path: '/verify?v=1',
        headers: { 'content-type': 'application/json', 'x-service-token': 'token-1' },
        body: '{"key":"sk-1"}',
      },
    ]);
  });

  test('puts a body of many chunks together, and asks again on the same connection', async () => {
    const server = await serve((response) => {
      response.write('one ');
      setImmediate(() => response.end('two'));
    });
    const transport = through(server.origin);
    for (let times = 0; times < 3; times++)
      expect(Buffer.from((await send(transport, server.origin)).body).toString()).toBe('one two');
    expect(server.connections).toBe(1);
  });

  test('works with an agent, and with a dispatcher that is only being made', async () => {
    const server = await serve((response) => response.end('made'));
    const agent = new Agent();
    onTestFinished(async () => await agent.destroy());
    for (const open of [() => agent, () => Promise.resolve(agent)])
      expect(await send(dispatcherTransport(server.origin, open), server.origin)).toMatchObject({ status: 200 });
  });

  test('fails where no dispatcher can be made, or where it throws', async () => {
    const error = new Error('no undici');
    const broken: Dispatcher = {
      dispatch: () => {
        throw error;
      },
    };
    for (const open of [() => Promise.reject<Dispatcher>(error), () => broken])
      await expect(send(dispatcherTransport('http://x.test', open), 'http://x.test')).rejects.toBe(error);
  });

  test('leaves time-outs to the deadline', () => {
    const seen: unknown[] = [];
    const spy: Dispatcher = { dispatch: (options) => seen.push(options) > 0 };
    const request = ask('http://x.test/a?b=c');
    dispatcherTransport(request.url, () => spy).send(request);
    expect(seen).toEqual([
      {
        origin: 'http://x.test',
        path: '/a?b=c',
        method: 'POST',
        headers: request.headers,
        body: request.body,
        headersTimeout: 0,
        bodyTimeout: 0,
      },
    ]);
  });

  test('takes a body up to the limit, refuses one byte more, and can ask again', async () => {
    let size = MAX_RESPONSE_BYTES;
    const server = await serve((response) => response.end(Buffer.alloc(size)));
    const transport = through(server.origin);
    expect((await send(transport, server.origin)).body).toHaveLength(MAX_RESPONSE_BYTES);
    size++;
    await expect(send(transport, server.origin)).rejects.toBeInstanceOf(ResponseTooLarge);
    size = 2;
    expect((await send(transport, server.origin)).body).toHaveLength(2);
  });

  test('hangs up on a body that has no end', async () => {
    const server = await serve((response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(16_384), () => setImmediate(more));
      };
      more();
    });
    await expect(send(through(server.origin), server.origin)).rejects.toBeInstanceOf(ResponseTooLarge);
    await until(() => server.cutOff === 1);
  });

  test('follows no redirect: the token does not travel on', async () => {
    const elsewhere = await serve((response) => response.end());
    const server = await serve((response) => response.writeHead(307, { location: elsewhere.origin }).end());
    expect(await send(through(server.origin), server.origin)).toMatchObject({ status: 307 });
    expect(elsewhere.heard).toEqual([]);
  });

  test('fails where the connection is reset, before the answer or in the middle of it', async () => {
    const before = await serve((response) => response.destroy());
    await expect(send(through(before.origin), before.origin)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
    const within = await serve((response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    await expect(send(through(within.origin), within.origin)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  });

  test('takes an announcement of the answer for none', async () => {
    const server = await serve((response) => response.writeEarlyHints({ link: '</a>' }, () => response.destroy()));
    await expect(send(through(server.origin), server.origin)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  });

  test('goes by a status other than 200, whatever became of the body behind it', async () => {
    const cut = await serve((response) => {
      response.writeHead(429, { 'content-length': '100', 'retry-after': '3' });
      response.write('half', () => response.destroy());
    });
    const { status, header } = await send(through(cut.origin), cut.origin);
    expect([status, header('retry-after')]).toEqual([429, '3']);
    const huge = await serve((response) => response.writeHead(503).end(Buffer.alloc(MAX_RESPONSE_BYTES + 1)));
    expect(await send(through(huge.origin), huge.origin)).toMatchObject({ status: 503 });
  });

  test('fails where nobody listens', async () => {
    const origin = 'http://127.0.0.1:1';
    await expect(send(through(origin), origin)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('giving up', () => {
  const reason = new Error('the time is up');

  test('frees the connection for the next request', async () => {
    let hangs = true;
    const server = await serve((response) => (hangs ? undefined : response.end('fine')));
    const transport = through(server.origin);
    const exchange = transport.send(ask(server.origin));
    await until(() => server.heard.length === 1);
    hangs = false;
    exchange.abort(reason);
    await expect(exchange.response).rejects.toBe(reason);
    expect(await send(transport, server.origin)).toMatchObject({ status: 200 });
  });

  test('while waiting for a connection sends nothing', async () => {
    let release = (): void => undefined;
    const server = await serve((response) => {
      release = () => response.end('fine');
    });
    const transport = through(server.origin);
    const first = transport.send(ask(server.origin));
    await until(() => server.heard.length === 1);
    const queued = transport.send(ask(server.origin));
    queued.abort(reason);
    const rejection = expect(queued.response).rejects.toBe(reason);
    release();
    expect(await first.response).toMatchObject({ status: 200 });
    await rejection;
    await breathe();
    expect(server.heard).toHaveLength(1);
  });

  test('while the dispatcher is only being made sends nothing', async () => {
    const server = await serve((response) => response.end('fine'));
    let made: (dispatcher: Dispatcher) => void = () => undefined;
    const opening = new Promise<Dispatcher>((resolve) => (made = resolve));
    const exchange = dispatcherTransport(server.origin, () => opening).send(ask(server.origin));
    exchange.abort(reason);
    made(pool(server.origin));
    await expect(exchange.response).rejects.toBe(reason);
    expect(server.heard).toEqual([]);
  });
});
