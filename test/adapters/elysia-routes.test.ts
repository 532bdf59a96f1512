import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type RequestOptions } from 'node:http';
import { text } from 'node:stream/consumers';

import { getRequestListener } from '@hono/node-server';
import { type AnyElysia, Elysia, t } from 'elysia';
import { apiKeyAuth } from 'keyverify/elysia';
import { afterEach, describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';

const SECRET = 'the answer of the handler';

let reached = 0;
const handler = () => {
  reached += 1;
  return SECRET;
};
const mounted = async (request: Request) => new Response(handler() + (await request.text()));

interface Row {
  /** Adds a route to an app that has the plugin. */
  readonly add: (app: Elysia) => AnyElysia;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** What a caller with a key gets; by default the answer of the handler. */
  readonly admitted?: string;
  /** Only with `aot`. Without it, Elysia has no such route. */
  readonly aotOnly?: true;
  /** Elysia has no such route in a group. */
  readonly notInGroup?: true;
}

const json = { 'content-type': 'application/json' };
const post = { method: 'POST', headers: json, body: '{"n":1}' } as const;

const ROWS: Readonly<Record<string, Row>> = {
  'a handler': { add: (app) => app.get('/', handler) },
  'an async handler': { add: (app) => app.get('/', async () => await Promise.resolve(handler())) },
  'a generator': {
    add: (app) =>
      app.get('/', function* () {
        yield handler();
      }),
  },
  'a static text': { add: (app) => app.get('/', SECRET) },
  'a static object': { add: (app) => app.get('/', { secret: SECRET }), admitted: JSON.stringify({ secret: SECRET }) },
  'a static response': { add: (app) => app.get('/', new Response(SECRET)) },
  'a promise of a static response': {
    add: (app) => app.get('/', Promise.resolve(new Response(SECRET)) as unknown as Response),
  },
  'a static blob': { add: (app) => app.get('/', new Blob([SECRET]) as unknown as Response) },
  'a path with a parameter': { add: (app) => app.get('/orders/:id', handler), path: '/orders/1' },
  'a path with an optional parameter': { add: (app) => app.get('/orders/:id?', handler), path: '/orders' },
  'a path with a wildcard': { add: (app) => app.get('/orders/*', handler), path: '/orders/1/2' },
  'a path with a slash at its end': { add: (app) => app.get('/orders', handler), path: '/orders/' },
  'an encoded path': { add: (app) => app.get('/größe', handler), path: '/gr%C3%B6%C3%9Fe' },
  'a method of its own': { add: (app) => app.route('PURGE', '/', handler), method: 'PURGE' },
  'all methods': { add: (app) => app.all('/', handler), method: 'PUT' },
  'all methods, by OPTIONS': { add: (app) => app.all('/', handler), method: 'OPTIONS' },
  HEAD: { add: (app) => app.head('/', handler), method: 'HEAD', admitted: '' },
  'HEAD of a GET': { add: (app) => app.get('/', handler), method: 'HEAD', admitted: '', aotOnly: true },
  'HEAD of a static GET': { add: (app) => app.get('/', SECRET), method: 'HEAD', admitted: '', aotOnly: true },
  'a WebSocket': {
    // As in `.ws()`, which has an implementation only on Bun.
    add: (app) => app.route('WS', '/', handler),
    headers: { connection: 'upgrade', upgrade: 'websocket' },
  },
  'a body': { add: (app) => app.post('/', handler), ...post },
  'a body for a parser': { add: (app) => app.post('/', handler, { parse: 'json' }), ...post },
  'a body that is not parsed': { add: (app) => app.post('/', handler, { parse: 'none' }), ...post },
  'a body that is not parsed in a guard()': {
    add: (app) => app.guard({ parse: 'none' }, (inner) => inner.post('/', handler)),
    ...post,
  },
  'a body with a schema': {
    add: (app) => app.post('/', handler, { body: t.Object({ n: t.Number() }) }),
    ...post,
  },
  'hooks of its own': {
    add: (app) =>
      app.get('/', handler, {
        beforeHandle: () => undefined,
        afterHandle: () => undefined,
        transform: () => undefined,
      }),
  },
  'a mounted handler': { add: (app) => app.mount('/admin', mounted), path: '/admin/orders' },
  'a mounted handler with a body': {
    add: (app) => app.mount('/admin', mounted),
    path: '/admin/orders',
    ...post,
    admitted: `${SECRET}{"n":1}`,
  },
  'a handler mounted at the root': { add: (app) => app.mount(mounted), path: '/orders' },
  'a mounted app': {
    add: (app) => app.mount(new Elysia().get('/orders', handler)),
    path: '/orders',
  },
  'a mount in a group': {
    add: (app) => app.group('/admin', (inner) => inner.mount('/orders', mounted)),
    path: '/admin/orders',
  },
  'a mount in a guard()': {
    add: (app) => app.guard({}, (inner) => inner.mount('/admin', mounted)),
    path: '/admin/orders',
  },
  'a mount in an instance': {
    add: (app) => app.use(new Elysia().mount('/admin', mounted)),
    path: '/admin/orders',
  },
  'a group': { add: (app) => app.group('/admin', (inner) => inner.get('/', handler)), path: '/admin' },
  'a group with a schema': {
    add: (app) => app.group('/admin', { query: t.Object({ n: t.Numeric() }) }, (inner) => inner.get('/', handler)),
    path: '/admin?n=1',
  },
  'a static text in a group': { add: (app) => app.group('/admin', (inner) => inner.get('/', SECRET)), path: '/admin' },
  'a guard()': { add: (app) => app.guard({ beforeHandle: () => undefined }, (inner) => inner.get('/', handler)) },
  'an instance': { add: (app) => app.use(new Elysia().get('/', handler)) },
  'an instance with a static text': { add: (app) => app.use(new Elysia().get('/', SECRET)) },
  'an instance without aot': { add: (app) => app.use(new Elysia({ aot: false }).get('/', handler)) },
  'an instance with a name': { add: (app) => app.use(new Elysia({ name: 'orders' }).get('/', handler)) },
  'an instance in an instance': {
    add: (app) => app.use(new Elysia().use(new Elysia({ prefix: '/orders' }).get('/', handler))),
    path: '/orders',
  },
  'a function': { add: (app) => app.use((inner: Elysia) => inner.get('/', handler)) },
  'an async function': {
    add: (app) => app.use(async (inner: Elysia) => await Promise.resolve(inner.get('/', handler))),
  },
  'a promise of an instance': {
    add: (app) => app.use(Promise.resolve(new Elysia().get('/', handler))),
    notInGroup: true,
  },
};

/** Elysia compiles a plain value without any hook if its route has hooks of all four kinds. */
const crowded = (app: Elysia) =>
  app
    .onParse(() => undefined)
    .onTransform(() => undefined)
    .onBeforeHandle(() => undefined)
    .onAfterHandle(() => undefined)
    .mapResponse(() => undefined)
    .onError(() => undefined) as unknown as Elysia;

const close: (() => unknown)[] = [];
afterEach(async () => {
  reached = 0;
  for (const each of close.splice(0)) await each();
});

async function serve(app: AnyElysia) {
  await app.modules;
  const toNode = getRequestListener(async (incoming) => await app.handle(incoming));
  const service = await listen(createServer((req, res) => void toNode(req, res)));
  close.push(service.close);
  return async (path: string, { body, ...options }: RequestOptions & { body?: string }) => {
    const outgoing = request(service.url + path, { agent: false, ...options }).end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    return [response.statusCode, await text(response)] as const;
  };
}

const CONFIGS = { aot: {}, 'aot: false': { aot: false }, precompile: { precompile: true } } as const;

type Config = (typeof CONFIGS)[keyof typeof CONFIGS];

const guarded = (app: AnyElysia) => app.use(apiKeyAuth(saying(acme))) as unknown as Elysia;

const GROUP = 'a group in such an app';

/** Where the plugin and the routes behind it are. */
const PLACES: Readonly<Record<string, (config: Config, add: Row['add']) => AnyElysia>> = {
  'an app': (config, add) => add(guarded(new Elysia(config))),
  'an app with hooks of all four kinds': (config, add) => add(crowded(guarded(new Elysia(config)))),
  'an instance in such an app': (config, add) => crowded(new Elysia(config)).use(add(guarded(new Elysia(config)))),
  [GROUP]: (config, add) => crowded(new Elysia(config)).group('', (group) => add(guarded(group))),
};

const cases = Object.entries(CONFIGS).flatMap(([mode, config]) =>
  Object.entries(PLACES).flatMap(([where, place]) =>
    Object.entries(ROWS)
      .filter(([, { aotOnly, notInGroup }]) => !(aotOnly && mode === 'aot: false') && !(notInGroup && where === GROUP))
      .map(([name, row]) => ({ title: `${name} in ${where}, ${mode}`, row, appOf: () => place(config, row.add) })),
  ),
);

const withKey = { 'x-api-key': 'sk-1' };

describe('the plugin for Elysia', () => {
  it.each(cases)('guards $title', async ({ row, appOf }) => {
    const { path = '/', method = 'GET', headers = {}, body, admitted = SECRET } = row;
    const send = await serve(appOf());
    const options = { method, ...(body !== undefined && { body }) };
    for (const key of [{}, { 'x-api-key': ' ' }]) {
      const [status, answer] = await send(path, { ...options, headers: { ...headers, ...key } });
      expect([status, answer.includes(SECRET), reached]).toEqual([401, false, 0]);
    }
    for (let twice = 0; twice < 2; twice += 1) {
      const [status, answer] = await send(path, { ...options, headers: { ...headers, ...withKey } });
      expect([status, answer.includes(admitted)]).toEqual([200, true]);
    }
  });

  describe.each(Object.entries(CONFIGS))('with %s', (_, config) => {
    it('guards nothing that was added before it, or to the app that its instance is in', async () => {
      const before = new Elysia(config)
        .get('/text', SECRET)
        .mount('/mount', mounted)
        .post('/none', handler, { parse: 'none' });
      const inner = new Elysia(config).use(apiKeyAuth(saying(acme))).get('/guarded', SECRET);
      const app = new Elysia(config)
        .use(before)
        .use(inner)
        .get('/after', SECRET)
        .mount('/mount-after', mounted)
        .post('/none-after', handler, { parse: 'none' });
      const send = await serve(app);
      for (const path of ['/text', '/mount/x', '/after', '/mount-after/x'])
        expect([path, await send(path, {})]).toEqual([path, [200, SECRET]]);
      for (const path of ['/none', '/none-after'])
        expect([path, await send(path, post)]).toEqual([path, [200, SECRET]]);
      expect((await send('/guarded', {}))[0]).toBe(401);
    });

    it('leaves to Elysia what has no route', async () => {
      const send = await serve(new Elysia(config).use(apiKeyAuth(saying(acme))).get('/', handler));
      for (const [method, path] of [
        ['GET', '/nowhere'],
        ['OPTIONS', '/'],
        ['PUT', '/'],
      ] as const) {
        for (const headers of [{}, withKey])
          expect([method, (await send(path, { method, headers }))[0]]).toEqual([method, 404]);
      }
      expect(reached).toBe(0);
    });

    it('can be used again, in a group of an app that has a name, too', async () => {
      const app = new Elysia({ ...config, name: 'orders' })
        .use(apiKeyAuth(saying(acme)))
        .get('/', handler)
        .group('/admin', (group) =>
          group
            .use(apiKeyAuth(saying(acme), { authorize: () => false }))
            .get('/', handler)
            .mount('/mount', mounted),
        );
      const send = await serve(app);
      expect(await send('/', { headers: withKey })).toEqual([200, SECRET]);
      for (const path of ['/admin', '/admin/mount', '/admin/mount/x'])
        expect((await send(path, { headers: withKey }))[0]).toBe(403);
      expect(reached).toBe(1);
    });
  });

  it('is not moved by as() to the app around its instance, where it would guard only some routes', () => {
    const app = new Elysia().use(apiKeyAuth(saying(acme)));
    expect(() => app.as('scoped')).toThrow('as(): it would move only a part of the guard');
    expect(() => app.as('global')).toThrow('as(): it would move only a part of the guard');
  });

  it('refuses an app to which routes are added in another way', () => {
    const app = new Elysia();
    Object.assign(app, { add: undefined });
    expect(() => app.use(apiKeyAuth(saying(acme)))).toThrow('app: expected an instance of Elysia 1');
  });
});
