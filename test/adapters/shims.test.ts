import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createServer2, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { configure } from '@vendia/serverless-express';
import express from 'express';
import Fastify from 'fastify';
import { apiKeyAuth as forExpress } from 'keyverify/express';
import { apiKeyAuth as forFastify } from 'keyverify/fastify';
import { apiKeyAuth as forKoa } from 'keyverify/koa';
import { apiKeyAuth as forNode } from 'keyverify/node';
import {
  type AdapterCall,
  type AdapterHandler,
  type AdapterReply,
  type AdapterService,
  adapterRoutes,
} from 'keyverify/testing';
import Koa from 'koa';
import { createMocks, type RequestMethod } from 'node-mocks-http';
import serverless from 'serverless-http';
import { describe, expect, it } from 'vitest';

import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { acme, rejected, saying } from '../guard/verifiers.js';
import { guardedRoutes, routes } from '../../src/testing/suites/adapter-routes.js';
import { callHandler, eventOf, type EventVersion, serveHandler } from './events.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

type Serve = (verifier: DefaultVerifier, handler: AdapterHandler) => express.Express;

const expressApp: Serve = (verifier, handler) => {
  const app = express();
  for (const [path, options] of Object.entries(adapterRoutes))
    app.all(path, forExpress(verifier, options), (_, res) => void res.json(handler(res.locals.identity)));
  return app;
};

/** One app, in which the path chooses the guard. */
function koaApp(verifier: DefaultVerifier, handler: AdapterHandler): Koa {
  const guards = Object.entries(adapterRoutes).map(([path, options]) => [path, forKoa(verifier, options)] as const);
  const byPath = new Map<string, Koa.Middleware>(guards);
  return new Koa()
    .use(async (ctx, next) => {
      await byPath.get(ctx.path)?.(ctx, next);
    })
    .use((ctx) => {
      ctx.body = handler((ctx.state as { identity: Parameters<AdapterHandler>[0] }).identity);
    });
}

function fastifyApp(verifier: DefaultVerifier, handler: AdapterHandler) {
  const app = Fastify({ requestIdHeader: 'x-request-id' });
  void app.register(async (scope) => {
    await scope.register(forFastify, { verifier, failOpen: false });
    for (const [url, keyverify] of Object.entries(routes))
      scope.route({
        method: ['GET', 'OPTIONS'],
        url,
        config: { keyverify },
        handler: ({ identity }) => handler(identity),
      });
  });
  for (const [url, options] of Object.entries(guardedRoutes))
    void app.register(async (scope) => {
      await scope.register(forFastify, { verifier, failOpen: false, ...options });
      scope.get(url, ({ identity }) => handler(identity));
    });
  return app;
}

const leaves = false;
/** Of version 1.0, serverless-http hands on the last of several values, so that nobody sees the others. */
const sentTwice = [
  'refuses two bearers, of which Node keeps the first',
  'refuses a header that is sent twice, also where one of the two has no key',
];
const twoKeys = ['refuses two keys in one request, in two headers or in one', ...sentTwice];
const hidesValues = { '1.0': twoKeys, '2.0': [], ALB: twoKeys, 'ALB, several values': [] };

for (const version of ['1.0', '2.0', 'ALB', 'ALB, several values'] satisfies EventVersion[]) {
  testAdapter(
    `Express through serverless-http, events of version ${version}`,
    (verifier, handler) => {
      const handle = serverless(expressApp(verifier, handler));
      return Promise.resolve(serveHandler(async (call) => await handle(eventOf(call, version), {}), version));
    },
    { call: callHandler, leaves, except: hidesValues[version] },
  );

  testAdapter(
    `Koa through serverless-http, events of version ${version}`,
    (verifier, handler) => {
      const handle = serverless(koaApp(verifier, handler));
      return Promise.resolve(serveHandler(async (call) => await handle(eventOf(call, version), {}), version));
    },
    { call: callHandler, leaves, except: hidesValues[version] },
  );

  testAdapter(
    `Express through @vendia/serverless-express, events of version ${version}`,
    (verifier, handler) => {
      type Handle = (event: unknown, context: object) => Promise<unknown>;
      const handle = configure({ app: expressApp(verifier, handler) }) as unknown as Handle;
      return Promise.resolve(serveHandler(async (call) => await handle(eventOf(call, version), {}), version));
    },
    { call: callHandler, leaves, except: version === 'ALB' ? hidesValues.ALB : [] },
  );
}

testAdapter(
  'Fastify through inject()',
  (verifier, handler) => {
    const app = fastifyApp(verifier, handler);
    const service = serveHandler(async ({ path, method, headers }) => {
      const names = [...new Set(headers.map(([name]) => name))];
      const values = (name: string) => headers.filter((header) => header[0] === name).map(([, value]) => value);
      const sent = Object.fromEntries(names.map((name) => [name, values(name).join(', ')]));
      return await app.inject({ url: path, method: method as 'GET', headers: sent });
    });
    return Promise.resolve({ ...service, close: async () => await Promise.all([service.close(), app.close()]) });
  },
  { call: callHandler, leaves },
);

testAdapter(
  'Express with node-mocks-http',
  (verifier, handler) => {
    const middlewares = Object.entries(adapterRoutes).map(
      ([path, options]) => [path, forExpress(verifier, options)] as const,
    );
    const byPath = new Map(middlewares);
    return Promise.resolve(
      serveHandler(async ({ path, method, headers }) => {
        const values = (name: string) => headers.filter((header) => header[0] === name).map(([, value]) => value);
        const sent = headers.map(([name]) => [name, values(name).join(', ')] as const);
        const { req, res } = createMocks({
          url: path,
          method: method as RequestMethod,
          headers: Object.fromEntries(sent),
        });
        const auth = byPath.get(path);
        await new Promise<void>((resolve) => {
          const end = res.end.bind(res) as (...args: unknown[]) => typeof res;
          res.end = (...args: unknown[]) => {
            resolve();
            return end(...args);
          };
          auth?.(req, res, () => res.json(handler(auth.identityOf(req))));
        });
        return { statusCode: res.statusCode, headers: res._getHeaders(), body: String(res._getData()) };
      }),
    );
  },
  { call: callHandler, leaves },
);

/** A call over HTTP/2, on a connection of its own. */
async function callHttp2({ url, path, method, headers, signal }: AdapterCall): Promise<AdapterReply> {
  const session = connect(url);
  try {
    const sent: Record<string, string | string[]> = { ':path': path, ':method': method };
    for (const [name] of headers)
      sent[name.toLowerCase()] = headers.filter((header) => header[0] === name).map(([, value]) => value);
    const stream = session.request(sent, signal && { signal });
    const [response] = (await once(stream, 'response')) as [Record<string, unknown>];
    return { status: Number(response[':status']), headers: response, body: await text(stream) };
  } finally {
    session.destroy();
  }
}

async function listen2(server: Http2Server): Promise<AdapterService> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    await once(server.close(), 'close');
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

testAdapter(
  'node:http2',
  async (verifier, handler) => {
    const listeners = Object.entries(adapterRoutes).map(([path, options]) => {
      const answer = (_: unknown, res: { end(body: string): unknown }, identity: Parameters<AdapterHandler>[0]) =>
        void res.end(JSON.stringify(handler(identity)));
      return [path, forNode(verifier, answer, options)] as const;
    });
    const byPath = new Map<string, (typeof listeners)[number][1]>(listeners);
    return await listen2(createServer2((req, res) => byPath.get(req.url)?.(req, res)));
  },
  // The client of Node doesn't send them.
  { call: callHttp2, except: sentTwice },
);

testAdapter(
  'Koa over HTTP/2',
  async (verifier, handler) => {
    const app = koaApp(verifier, handler);
    return await listen2(createServer2((req, res) => void app.callback()(req as never, res as never)));
  },
  // The client of Node doesn't send them.
  { call: callHttp2, except: sentTwice },
);

describe('middleware before the guard', () => {
  const statusOf = async (change: (headers: NodeJS.Dict<string | string[]>) => void, sent: Record<string, string>) => {
    const app = express();
    app.use((req, _, next) => {
      change(req.headers);
      next();
    });
    const verifier = {
      ...saying(acme),
      verify: async (key: string) => await Promise.resolve(key === 'sk-1' ? acme : rejected('unknown_key')),
    };
    app.get(
      '/',
      forExpress(verifier, { optional: true }),
      (_, res) => void res.json(res.locals.identity?.client ?? null),
    );
    const { url, close } = await listen(createServer(app));
    const response = await fetch(url, { headers: sent });
    const body = (await response.json()) as { reason?: string } | string | null;
    await close();
    return [response.status, typeof body === 'object' && body !== null ? body.reason : body];
  };

  it('may set the key', async () => {
    const set = (headers: NodeJS.Dict<string | string[]>): void => { headers['authorization'] = 'Bearer sk-1'; }; // prettier-ignore
    expect(await statusOf(set, {})).toEqual([200, 'acme']);
    expect(await statusOf(set, { authorization: 'Bearer sk-2' })).toEqual([200, 'acme']);
  });

  it('may take it away', async () => {
    const remove = (headers: NodeJS.Dict<string | string[]>): void => { delete headers['authorization']; }; // prettier-ignore
    expect(await statusOf(remove, { authorization: 'Bearer sk-2' })).toEqual([200, null]);
  });
});
