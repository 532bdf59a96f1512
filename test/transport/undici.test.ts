import { gzipSync } from 'node:zlib';

import { Agent, Pool, RetryAgent, interceptors, RedirectHandler } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';

import type { DispatchController, DispatchHandler, Dispatcher, RawHeaders } from '../../src/transport/dispatcher.js';
import { dispatcherTransport } from '../../src/transport/runtime/node.js';
import type { Transport, WireRequest } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';
import { breathe, until } from '../helpers/rig.js';

function through(url: string, dispatcher: Dispatcher | (() => Dispatcher)): Transport {
  return dispatcherTransport?.(url, dispatcher) ?? expect.fail('undici runs on Node');
}

function kept<D extends Agent | Pool>(dispatcher: D): D {
  onTestFinished(async () => await dispatcher.destroy());
  return dispatcher;
}

const agent = (options?: Agent.Options): Agent => kept(new Agent(options));
const send = async (transport: Transport, url: string, changes?: Partial<WireRequest>) =>
  await transport.send({ ...ask(url), ...changes }).response;

describe('a request', () => {
  test('goes to the dispatcher as it is, and timeouts and redirects stay outside', () => {
    const seen: unknown[] = [];
    const spy: Dispatcher = { dispatch: (options) => seen.push(options) > 0 };
    const request = ask('http://x.test/a?b=c');
    void through(request.url, spy).send(request);
    expect(seen).toEqual([
      {
        origin: 'http://x.test',
        path: '/a?b=c',
        method: 'POST',
        headers: request.headers,
        body: request.body,
        headersTimeout: 0,
        bodyTimeout: 0,
        maxRedirections: 0,
      },
    ]);
  });

  test('may ask another path of the same origin, but no other origin', async () => {
    const server = await serve((response) => response.end('{}'));
    const transport = through(`${server.origin}/verify`, agent());
    expect(await send(transport, `${server.origin}/keys/1`)).toMatchObject({ status: 200 });
    expect(server.heard).toMatchObject([{ path: '/keys/1' }]);
    await expect(send(transport, 'http://other.test/')).rejects.toMatchObject({
      kind: 'misconfigured',
      cause: { message: 'the request goes to another origin than verifyUrl' },
    });
    await expect(send(transport, 'no URL')).rejects.toMatchObject({ kind: 'misconfigured' });
  });

  test('has a method that undici sends', async () => {
    const transport = through('http://x.test', agent());
    await expect(send(transport, 'http://x.test', { method: 'BREW' })).rejects.toMatchObject({
      kind: 'misconfigured',
      cause: { message: 'the request has a method that undici does not send' },
    });
  });

  test('goes to the dispatcher of the moment', async () => {
    const server = await serve((response) => response.end('{}'));
    const [before, after] = [agent(), agent()];
    let current = before;
    const transport = through(server.origin, () => current);
    await send(transport, server.origin);
    current = after;
    await before.destroy();
    expect(await send(transport, server.origin)).toMatchObject({ status: 200 });
  });

  test('is refused by a dispatcher that throws, is closed, or cannot be had', async () => {
    const broken: Dispatcher = {
      dispatch: () => {
        throw new Error('broken');
      },
    };
    const closed = agent();
    await closed.close();
    const none = (): Dispatcher => {
      throw new Error('none');
    };
    for (const dispatcher of [broken, closed, none])
      await expect(send(through('http://x.test', dispatcher), 'http://x.test')).rejects.toMatchObject({
        kind: 'misconfigured',
        unconnected: false,
      });
  });
});

describe('a response', () => {
  test('joins headers that came several times', async () => {
    const server = await serve((response) => response.writeHead(200, { 'x-many': ['a', 'b'] }).end('{}'));
    expect((await send(through(server.origin, agent()), server.origin)).header('x-many')).toBe('a, b');
  });

  test('may have an empty body', async () => {
    const server = await serve((response) => response.end());
    expect((await send(through(server.origin, agent()), server.origin)).body).toEqual(new Uint8Array());
  });

  test('of many chunks is put together, and leaves the connection to the next one', async () => {
    const server = await serve((response) => {
      response.write('one ');
      setImmediate(() => response.end('two'));
    });
    const transport = through(server.origin, agent({ connections: 1 }));
    for (let times = 0; times < 3; times++)
      expect(Buffer.from((await send(transport, server.origin)).body).toString()).toBe('one two');
    expect(server.connections).toBe(1);
  });

  test('without a body that anybody needs leaves its connection to the next one, and one without an end does not', async () => {
    let endless = false;
    const server = await serve((response) => {
      response.writeHead(503);
      if (endless) response.write(Buffer.alloc(70_000));
      else response.end('down');
    });
    const transport = through(server.origin, agent({ connections: 1 }));
    for (let times = 0; times < 2; times++) expect((await send(transport, server.origin)).body).toHaveLength(0);
    expect(server.connections).toBe(1);
    endless = true;
    expect(await send(transport, server.origin)).toMatchObject({ status: 503 });
    await until(() => server.cutOff === 1);
  });

  test('whose body does not matter is one even if that body is cut off', async () => {
    const server = await serve((response) => {
      response.writeHead(503);
      response.write('down', () => response.destroy());
    });
    expect(await send(through(server.origin, agent()), server.origin)).toMatchObject({ status: 503 });
  });

  test('is more than its announcement', async () => {
    const server = await serve((response) => response.writeEarlyHints({ link: '</a>' }, () => response.end('{}')));
    expect(await send(through(server.origin, agent()), server.origin)).toMatchObject({ status: 200 });
    const cut = await serve((response) => response.writeEarlyHints({ link: '</a>' }, () => response.destroy()));
    await expect(send(through(cut.origin, agent()), cut.origin)).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('that is encoded, which nobody asked for, is unreadable, and says so', async () => {
    const server = await serve((response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('{}')));
    await expect(send(through(server.origin, agent()), server.origin)).rejects.toMatchObject({
      kind: 'invalid_response',
      message: 'keyverify: the key server encoded a response that was to be plain',
    });
    const plain = await serve((response) => response.setHeader('content-encoding', 'Identity').end('{}'));
    expect(await send(through(plain.origin, agent()), plain.origin)).toMatchObject({ status: 200 });
  });

  test('stays one where undici makes an error of it', async () => {
    const server = await serve((response) => response.writeHead(429, { 'retry-after': '3' }).end('{}'));
    const retrying = kept(new Agent());
    for (const dispatcher of [
      new RetryAgent(retrying, { methods: ['POST'], maxRetries: 0 }),
      agent().compose(interceptors.responseError()),
    ]) {
      const { status, header, body } = await send(through(server.origin, dispatcher), server.origin);
      expect([status, header('retry-after'), header('x'), body.length]).toEqual([429, '3', undefined, 0]);
    }
  });

  test.each<readonly [string, (handler: DispatchHandler, controller: DispatchController) => void]>([
    ['has followed no redirect', (handler, controller) => handler.onRequestStart(controller, { history: [] })],
    ['does not say when it starts', () => undefined],
  ])('has the status that came where a dispatcher %s, and text alone as a header', async (_, start) => {
    const controller = { abort: () => undefined };
    const dispatcher: Dispatcher = {
      dispatch(_options, handler) {
        start(handler, controller);
        handler.onResponseStart(controller, 200, { age: 5 } as object as RawHeaders);
        handler.onResponseEnd();
        return true;
      },
    };
    const { status, header } = await send(through('http://x.test', dispatcher), 'http://x.test');
    expect([status, header('age')]).toEqual([200, undefined]);
  });

  test('that undici makes an error of may be the lowest there is', async () => {
    const failing: Dispatcher = {
      dispatch(_options, handler) {
        const error = Object.assign(new Error('x'), { code: 'UND_ERR_RESPONSE', statusCode: 400 });
        handler.onResponseError({ abort: () => undefined }, error);
        return true;
      },
    };
    expect(await send(through('http://x.test', failing), 'http://x.test')).toMatchObject({ status: 400 });
  });

  test.each([
    { code: 'UND_ERR_REQ_RETRY', statusCode: 200 },
    { code: 'UND_ERR_RESPONSE', statusCode: '429' },
    { code: 'OTHER', statusCode: 429 },
  ])('is not read from just any error: %j', async (fields) => {
    const failing: Dispatcher = {
      dispatch(_options, handler) {
        handler.onResponseError({ abort: () => undefined }, Object.assign(new Error('x'), fields));
        return true;
      },
    };
    await expect(send(through('http://x.test', failing), 'http://x.test')).rejects.toMatchObject({
      kind: 'misconfigured',
    });
  });
});

describe('a redirect', () => {
  test("is not followed by a caller's interceptor: the token does not travel on", async () => {
    const elsewhere = await serve((response) => response.end('{}'));
    const server = await serve((response) => response.writeHead(307, { location: elsewhere.origin }).end());
    const following = agent().compose(interceptors.redirect({ maxRedirections: 3 }));
    expect(await send(through(server.origin, following), server.origin)).toMatchObject({ status: 307 });
    expect(elsewhere.heard).toEqual([]);
  });

  test('that is followed all the same is no verdict', async () => {
    const elsewhere = await serve((response) => response.end('{"valid":true}'));
    const server = await serve((response) => response.writeHead(307, { location: elsewhere.origin }).end());
    const following = agent().compose((dispatch) => (options, handler) => {
      const inner = { ...options };
      return dispatch(inner, new RedirectHandler(dispatch, 3, inner, handler));
    });
    const { status, body } = await send(through(server.origin, following), server.origin);
    expect([status, body.length]).toEqual([302, 0]);
  });
});

describe('giving up', () => {
  const reason = new Error('the time is up');

  test('while waiting for a connection sends nothing', async () => {
    let release = (): void => undefined;
    const server = await serve((response) => {
      release = () => response.end('fine');
    });
    const transport = through(server.origin, kept(new Pool(server.origin, { connections: 1 })));
    const first = transport.send(ask(server.origin));
    await until(() => server.heard.length === 1);
    const queued = transport.send(ask(server.origin));
    queued.abort(reason);
    const rejection = expect(queued.response).rejects.toMatchObject({ cause: reason });
    release();
    expect(await first.response).toMatchObject({ status: 200 });
    await rejection;
    await breathe();
    expect(server.heard).toHaveLength(1);
  });
});

describe('whether a request has been sent', () => {
  /** Two hang, and one more waits or does not, depending on the dispatcher. */
  async function third(dispatcher: (origin: string) => Dispatcher) {
    const server = await serve(() => undefined);
    const transport = through(server.origin, dispatcher(server.origin));
    const hanging = [1, 2].map(() => transport.send(ask(server.origin)));
    await until(() => server.heard.length === 2);
    const exchange = transport.send(ask(server.origin));
    for (const { response } of [...hanging, exchange]) response.catch(() => undefined);
    expect(hanging.map(({ isSent }) => isSent?.())).toEqual([true, true]);
    return exchange.isSent?.();
  }

  test('is known of one that waits behind others in a pool or an agent', async () => {
    expect(await third((origin) => kept(new Pool(origin, { connections: 2 })))).toBe(false);
    expect(await third(() => agent({ connections: 2 }))).toBe(false);
  });

  test('is known of one that is connecting', async () => {
    expect(await third((origin) => kept(new Pool(origin)))).toBe(true);
    expect(await third(() => agent())).toBe(true);
  });

  test('is guessed where a dispatcher has no statistics: none waits behind another as long as none has a connection', async () => {
    const resolving = (options: Agent.Options): Dispatcher => agent(options).compose(interceptors.dns());
    expect(await third(() => resolving({ connections: 2 }))).toBe(false);
    const unconnected = resolving({ connections: 1, connect: () => undefined });
    const transport = through('http://127.0.0.1:1', unconnected);
    const exchanges = [1, 2].map(() => transport.send(ask('http://127.0.0.1:1')));
    for (const { response } of exchanges) response.catch(() => undefined);
    await breathe();
    expect(exchanges.map(({ isSent }) => isSent?.())).toEqual([true, true]);
  });

  test.each<readonly [string, (handler: DispatchHandler, controller: DispatchController) => void]>([
    [
      'a response',
      (handler, controller) => {
        handler.onResponseStart(controller, 204, {});
        handler.onResponseEnd();
      },
    ],
    ['an error', (handler, controller) => handler.onResponseError(controller, new Error('x'))],
  ])('is known of the next one after %s', async (_what, end) => {
    const controller = { abort: () => undefined };
    const handlers: DispatchHandler[] = [];
    const transport = through('http://x.test', { dispatch: (_options, handler) => handlers.push(handler) > 0 });
    const [first, second] = [1, 2].map(() => transport.send(ask('http://x.test')));
    handlers[0]?.onRequestStart(controller, undefined);
    expect(second?.isSent?.()).toBe(false);
    if (handlers[0]) end(handlers[0], controller);
    await Promise.allSettled([first?.response]);
    expect(second?.isSent?.()).toBe(true);
  });

  test('is guessed where the statistics of a dispatcher are not numbers', () => {
    const odd = { stats: { queued: 'one' }, dispatch: () => true };
    expect(through('http://x.test', odd).send(ask('http://x.test')).isSent?.()).toBe(true);
  });

  test('is known of the next one after one that is given up, before or after it has started', () => {
    const controller = { abort: () => undefined };
    const handlers: DispatchHandler[] = [];
    const transport = through('http://x.test', { dispatch: (_options, handler) => handlers.push(handler) > 0 });
    const [early, late, next] = [1, 2, 3].map(() => transport.send(ask('http://x.test')));
    early?.abort(new Error('the time is up'));
    handlers[0]?.onRequestStart(controller, undefined);
    handlers[1]?.onRequestStart(controller, undefined);
    expect(next?.isSent?.()).toBe(false);
    late?.abort(new Error('the time is up'));
    expect(next?.isSent?.()).toBe(true);
  });
});
