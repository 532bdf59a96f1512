import { createServer, type RequestListener } from 'node:http';

import express from 'express';
import Fastify from 'fastify';
import { H3 } from 'h3';
import { Hono } from 'hono';
import { apiKeyAuth as forExpress } from 'keyverify/express';
import { apiKeyAuth as forFetch } from 'keyverify/fetch';
import { apiKeyAuth as forH3 } from 'keyverify/h3';
import { apiKeyAuth as forHono } from 'keyverify/hono';
import { apiKeyAuth as forKoa } from 'keyverify/koa';
import { apiKeyAuth as forLambda } from 'keyverify/lambda';
import { apiKeyAuth as forNode } from 'keyverify/node';
import { apiKeyAuth as forSocketIo } from 'keyverify/socket.io';
import { apiKeyAuth as forTrpc } from 'keyverify/trpc';
import { apiKeyAuth as forWs } from 'keyverify/ws';
import Koa from 'koa';
import { Server } from 'socket.io';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';

const verifier = saying(acme);
const handler = (): never => {
  throw new Error('the handler was reached');
};

type Guard = (...args: never[]) => unknown;

/** Every guard that is a function, as JavaScript lets one pass it anywhere. */
const GUARDS: Readonly<Record<string, Guard>> = {
  express: forExpress(verifier),
  node: forNode(verifier, handler),
  koa: forKoa(verifier),
  hono: forHono(verifier),
  h3: forH3(verifier),
  fetch: forFetch(verifier).protect(handler),
  lambda: forLambda(verifier).protect(handler),
  'socket.io': forSocketIo(verifier),
  ws: forWs(verifier, new WebSocketServer({ noServer: true }), handler),
};

/** Sends a request with a good key; resolves to the error that the framework was handed. */
type Framework = (guard: Guard) => Promise<unknown>;

const headers = { 'x-api-key': 'sk-1' };

async function overHttp(listener: RequestListener): Promise<Response> {
  const { url, close } = await listen(createServer(listener));
  const response = await fetch(url, { headers });
  const body = await response.text();
  await close();
  return new Response(body, { status: response.status });
}

const FRAMEWORKS: Readonly<Record<string, Framework>> = {
  express: async (guard) => {
    let caught: unknown;
    // Express knows it by its four parameters.
    const onError: express.ErrorRequestHandler = (error, _req, res, next) => {
      caught = error;
      res.sendStatus(500);
      next();
    };
    await overHttp(
      express()
        .use(guard as express.RequestHandler)
        .use(onError),
    );
    return caught;
  },
  koa: async (guard) => {
    let caught: unknown;
    const app = new Koa().use(guard as Koa.Middleware).on('error', (error: unknown) => void (caught = error));
    const callback = app.callback();
    await overHttp((req, res) => void callback(req, res));
    return caught;
  },
  hono: async (guard) => {
    let caught: unknown;
    const app = new Hono().use(guard as never).onError((error, c) => {
      caught = error;
      return c.text('', 500);
    });
    await app.request('/', { headers });
    return caught;
  },
  h3: async (guard) => {
    let caught: unknown;
    const app = new H3({ silent: true, onError: ({ cause }) => void (caught = cause) }).use(guard as never);
    await app.request('/', { headers });
    return caught;
  },
  fastify: async (guard) => {
    let caught: unknown;
    const app = Fastify().addHook('onRequest', guard as never);
    app.setErrorHandler((error, _, reply) => {
      caught = error;
      return reply.code(500).send();
    });
    app.get('/', handler);
    await app.inject({ url: '/', headers });
    return caught;
  },
};

/** Express takes a listener of Node for a handler, and an event of h3 2 has the headers of a `Request`. */
const FITTING = ['node in express', 'fetch in h3'];

const WRONG = Object.keys(FRAMEWORKS).flatMap((framework) =>
  Object.keys(GUARDS)
    .filter((guard) => guard !== framework && !FITTING.includes(`${guard} in ${framework}`))
    .map((guard) => [guard, framework] as const),
);

describe('a guard in a framework that it is not for', () => {
  it.each(WRONG)('is an error that names it: %s in %s', async (guard, framework) => {
    const caught = await FRAMEWORKS[framework]?.(GUARDS[guard] ?? handler);
    expect(caught).toBeInstanceOf(TypeError);
    expect(String(caught)).toContain(`keyverify/${guard}: expected`);
  });

  it('takes for an event of Lambda what is plain data', async () => {
    const handle = forLambda(verifier).protect(() => 'in') as (event: unknown) => Promise<unknown>;
    for (const event of [null, 'event']) expect(() => handle(event)).toThrow('keyverify/lambda: expected an event');
    const event: unknown = Object.assign(Object.create(null) as object, { headers });
    expect(await handle(event)).toBe('in');
  });

  it('answers 500 as a listener of Node, of which nobody handles an error', async () => {
    const response = await overHttp(GUARDS['express'] as RequestListener);
    expect(response.status).toBe(500);
    expect(await response.text()).toMatch(/^keyverify\/express: expected next\(\) of Express; import apiKeyAuth from/);
  });

  it('fails the handshake where the guard for Socket.IO is that of its engine', async () => {
    const server = createServer();
    const io = new Server(server);
    io.engine.use(GUARDS['socket.io']);
    const { url, close } = await listen(server);
    expect((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status).toBe(400);
    await io.close();
    await close();
  });

  it('rejects where tRPC has no request in its context', async () => {
    for (const context of [{}, { req: {} }, { req: { headers: 'none' } }])
      await expect(forTrpc(verifier)(context as never)).rejects.toThrow('keyverify/trpc: expected req in the context');
  });
});
