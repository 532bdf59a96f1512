import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from './work.mjs';

/** A service of somebody else's, whose requests have an identity of their own. */
const OWN_IDENTITY = `
declare global {
  namespace Express {
    interface Request {
      identity: { readonly badge: number };
    }
  }
}
`;

const SERVICE = `
import express from 'express';
import { KeyVerifier, type VerifyOptions } from 'keyverify';
import { apiKeyAuth as forExpress } from 'keyverify/express';
import { apiKeyAuth as forFetch } from 'keyverify/fetch';
import { createGuard } from 'keyverify/guard';
import { apiKeyAuth as forLambda } from 'keyverify/lambda';
import { apiKeyAuth as forNode } from 'keyverify/node';
import { clerk, defineProtocol, introspection, unkey, workos } from 'keyverify/protocols';
import { redisCache } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';
import { adapterCases, startKeyServer, stubVerifier, testClock } from 'keyverify/testing';
${OWN_IDENTITY}
const verifier = new KeyVerifier({ verifyUrl: 'https://keys.test/', serviceToken: 'service-token' });

const auth = forExpress(verifier);
const app = express();
app.get('/orders', auth, (req, res) => {
  const tenant: string = res.locals.identity.tenant;
  const badge: number = req.identity.badge;
  res.json({ tenant, badge });
});
app.use(auth).get('/', (req, res) => {
  const client: string = auth.identityOf(req).client;
  res.json(client);
});

export async function GET(request: Request): Promise<Response> {
  const decision = await forFetch(verifier).authenticate(request);
  if (!decision.allowed) return decision.denial;
  return new Response(decision.identity.client);
}

export async function guarded(): Promise<number | string> {
  const decision = await createGuard(verifier)({ header: () => [], url: '/' });
  if (!decision.allowed) return decision.denial.status;
  return decision.identity.tenant;
}

export const handler = forLambda(verifier).protect((_event, identity) => ({ statusCode: 200, body: identity.tenant }));
export const listener = forNode(verifier, (_request, _response, identity) => void identity.client.length);

export const protocols = [
  defineProtocol({ verdict: { flag: 'ok', client: 'id', tenant: (json) => json } }),
  introspection({ clientId: 'us', clientSecret: 'secret', tenant: 'org' }),
  unkey({ tenant: 'data.meta.tenant' }),
  workos(),
  clerk(),
];
export const fleet = { redisCache, revocations: sseRevocations({ url: 'https://keys.test/revocations' }) };

export async function tests(): Promise<string> {
  const server = await startKeyServer({ protocol: protocols[0], keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  const result = await stubVerifier().verify('sk-1');
  return [server.url, String(testClock().wall()), adapterCases.name, result.status].join();
}

export async function verify(): Promise<string> {
  const options: VerifyOptions = { maxAgeMs: 0 };
  const result = await verifier.verify('sk-1', options);
  return result.status === 'verified' ? result.client.trim() : result.status;
}
`;

const FRAMEWORKS = `
import { Elysia } from 'elysia';
import Fastify from 'fastify';
import { H3 } from 'h3';
import { Hono } from 'hono';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth as forElysia } from 'keyverify/elysia';
import { apiKeyAuth as forFastify } from 'keyverify/fastify';
import { apiKeyAuth as forH3 } from 'keyverify/h3';
import { apiKeyAuth as forHono } from 'keyverify/hono';
import { apiKeyAuth as forGrpc } from 'keyverify/grpc';
import { apiKeyAuth as forKoa } from 'keyverify/koa';
import { apiKeyAuth as forMcp } from 'keyverify/mcp';
import { apiKeyAuth as forNest, Identity } from 'keyverify/nest';
import { otel } from 'keyverify/otel';
import { apiKeyAuth as forSocketIo } from 'keyverify/socket.io';
import { apiKeyAuth as forTrpc } from 'keyverify/trpc';
import { apiKeyAuth as forWs } from 'keyverify/ws';
import { Server as GrpcServer } from '@grpc/grpc-js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { initTRPC } from '@trpc/server';
import type { CreateHTTPContextOptions } from '@trpc/server/adapters/standalone';
import { createServer } from 'node:http';
import Koa from 'koa';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

const verifier = new KeyVerifier({ verifyUrl: 'https://keys.test/', serviceToken: 'service-token' });
const app = Fastify();
void app.register(forFastify, { verifier });
app.get('/', (request) => request.identity.tenant);
new Hono().use(forHono(verifier)).get('/', (c) => c.text(c.var.identity.client));
new Koa().use(forKoa(verifier)).use((ctx) => void ctx.state.identity.client.trim());
new Elysia().use(forElysia(verifier)).get('/', ({ identity }) => identity.client);
const auth = forH3(verifier);
new H3().use(auth).get('/', (event) => auth.identityOf(event).client);
const sockets = forSocketIo(verifier);
new Server().use(sockets).on('connection', (socket) => void socket.emit('hello', sockets.identityOf(socket).client));
const wss = new WebSocketServer({ noServer: true });
createServer().on('upgrade', forWs(verifier, wss, (socket, _request, identity) => socket.send(identity.client)));
new GrpcServer({ interceptors: [forGrpc(verifier).interceptor] });
requireBearerAuth({ verifier: forMcp(verifier) });
const t = initTRPC.context<CreateHTTPContextOptions>().create();
const caller = forTrpc(verifier);
t.procedure.use(async ({ ctx, next }) => next({ ctx: { identity: await caller(ctx) } })).query(({ ctx }) => ctx.identity.client);
export const nest = [forNest(verifier), Identity, otel()];
`;

const BASE = {
  target: 'ES2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  lib: ['ES2023', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'],
  types: ['node'],
  noEmit: true,
};

/** What consumers compile with. The types of other frameworks have errors of their own, so those are not checked. */
const SETTINGS = {
  'strict, every declaration checked': { files: ['service.mts'], strict: true, skipLibCheck: false },
  'strict, exact optional properties': {
    files: ['service.mts'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
  },
  'not strict': { files: ['service.mts'], strict: false, skipLibCheck: false },
  'strict, all frameworks': { files: ['frameworks.mts'], strict: true, skipLibCheck: true },
  'not strict, all frameworks': { files: ['frameworks.mts'], strict: false, skipLibCheck: true },
};

const compile = (version) => async (folder, row) => {
  const cwd = join(folder, row);
  await mkdir(cwd, { recursive: true });
  await writeFile(join(cwd, 'service.mts'), SERVICE);
  await writeFile(join(cwd, 'frameworks.mts'), FRAMEWORKS);
  const tsc = join(folder, 'node_modules', `typescript-${version}`, 'bin/tsc');
  for (const [name, { files, ...options }] of Object.entries(SETTINGS)) {
    await writeFile(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...BASE, ...options }, files }));
    await run([process.execPath, tsc, '-p', 'tsconfig.json'], cwd).catch((error) => {
      throw new Error(`${name}: ${error.message}`);
    });
  }
};

const VERSIONS = ['5.5', '5.9', '6.0', '7.0'];

export const compilers = Object.fromEntries(VERSIONS.map((version) => [`TypeScript ${version}`, compile(version)]));

export const COMPILERS = [
  ...VERSIONS.map((version) => `typescript-${version}@npm:typescript@~${version}`),
  ...[
    'express@5',
    '@types/express@5',
    '@types/node@20',
    'fastify@5',
    'h3@2',
    'hono@4',
    'koa@3',
    '@types/koa@3',
    'elysia@1.4',
    '@grpc/grpc-js@1',
    '@modelcontextprotocol/sdk@1',
    '@nestjs/common@12',
    '@nestjs/websockets@12',
    '@nestjs/core@12',
    '@opentelemetry/api@1',
    '@trpc/server@11',
    'reflect-metadata',
    'rxjs@7',
    'socket.io@4',
    'ws@8',
    '@types/ws@8',
  ],
];
