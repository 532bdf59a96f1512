import { once } from 'node:events';
import { createServer } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';

import { given } from '../lib/child.mjs';
import { authorizationFor } from '../lib/guards.mjs';

/** A hello world of the given framework, behind the given guard. Any message is answered with the processor time so far. */
const { framework, guard, urls } = given();
const hello = { hello: 'world' };
const guarded = async (app) => await authorizationFor(framework, guard, app, urls);

const listeners = {
  async fastify() {
    const app = Fastify();
    const authorization = await guarded(app);
    app.get('/', async () => hello);
    await app.ready();
    return { listener: app.routing, authorization };
  },
  async express() {
    const app = express();
    const authorization = await guarded(app);
    app.get('/', (_request, response) => response.json(hello));
    return { listener: app, authorization };
  },
  async hono() {
    const app = new Hono();
    const authorization = await guarded(app);
    app.get('/', (context) => context.json(hello));
    return { listener: getRequestListener(app.fetch), authorization };
  },
};

const { listener, authorization } = await listeners[framework]();
const server = createServer({ keepAliveTimeout: 60_000 }, listener).listen(0, '127.0.0.1');
await once(server, 'listening');
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send({ cpuUs: user + system });
});
process.send({ port: server.address().port, authorization });
