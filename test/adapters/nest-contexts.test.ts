import 'reflect-metadata';

import { once } from 'node:events';

import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Controller, type ExecutionContext, Logger, Module, type Type, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { type MicroserviceOptions, MessagePattern, Transport, ClientProxyFactory } from '@nestjs/microservices';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Verified } from 'keyverify';
import { apiKeyAuth, Identity, type NestAuth } from 'keyverify/nest';
import { firstValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { acme, rejected, saying } from '../guard/verifiers.js';

Logger.overrideLogger(false);

const newClass = (): Type => class { readonly name = 'test'; }; // prettier-ignore

/** A class whose methods tell who calls them; the decorators are called as functions. */
function classOf(methods: Record<string, MethodDecorator[]>, told: (identity: unknown) => unknown): Type {
  const made = newClass();
  const prototype = made.prototype as Record<string, unknown>;
  for (const [name, decorators] of Object.entries(methods)) {
    prototype[name] = (identity: unknown) => told(identity);
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
    Reflect.defineMetadata('design:paramtypes', [Object], prototype, name);
    for (const decorate of decorators) decorate(prototype, name, descriptor);
    Identity()(prototype, name, 0);
  }
  return made;
}

const clientOf = (identity: unknown): string => (identity as Verified).client;
const moduleOf = (metadata: Parameters<typeof Module>[0]): Type => {
  const made = newClass();
  Module(metadata)(made);
  return made;
};

async function listening(module: Type, adapt?: (app: Awaited<ReturnType<typeof NestFactory.create>>) => void) {
  const app = await NestFactory.create(module);
  adapt?.(app);
  await app.listen(0, '127.0.0.1');
  return { url: await app.getUrl(), close: async () => await app.close() };
}

describe('the guard for Nest in GraphQL', () => {
  const asking = async (query: string, key: string | null, auth: NestAuth, context?: () => object) => {
    const text = () => String;
    const methods = {
      me: [Query(text), UseGuards(auth)],
      unguarded: [Query(text)],
    };
    const resolver = classOf(methods, clientOf);
    Resolver()(resolver);
    const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      // What a forger would have to get into.
      rootValue: { identity: { client: 'mallory' } },
      ...(context && { context }),
    });
    const { url, close } = await listening(moduleOf({ imports: [graphql], providers: [resolver] }));
    const headers = { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) };
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
    const { data, errors = [] } = (await response.json()) as {
      data: unknown;
      errors?: { message: string; extensions: { code: string; originalError?: unknown } }[];
    };
    await close();
    return { data, errors: errors.map(({ message, extensions }) => [message, extensions.code]), raw: errors };
  };

  it('admits a query with a valid key, with the identity of its owner', async () => {
    expect(await asking('{ me }', 'sk-1', apiKeyAuth(saying(acme)))).toMatchObject({
      data: { me: 'acme' },
      errors: [],
    });
  });

  it('denies by the codes of GraphQL, with the problem details', async () => {
    const missing = await asking('{ me }', null, apiKeyAuth(saying(acme)));
    expect(missing.errors).toEqual([['missing_key', 'UNAUTHENTICATED']]);
    expect(missing.raw[0]?.extensions.originalError).toMatchObject({ reason: 'missing_key', status: 401 });
    const foreign = await asking('{ me }', 'sk-1', apiKeyAuth(saying(rejected('scope_mismatch'))));
    expect(foreign.errors).toEqual([['scope_mismatch', 'FORBIDDEN']]);
    const own = await asking('{ me }', null, apiKeyAuth(saying(acme), { onDenied: () => ({ body: 'No.' }) }));
    expect(own.errors).toEqual([['No.', 'UNAUTHENTICATED']]);
  });

  it('takes no identity from the parent of a field', async () => {
    const { data, errors } = await asking('{ unguarded }', 'sk-1', apiKeyAuth(saying(acme)));
    expect([data, errors]).toEqual([
      null,
      [[expect.stringContaining('no guard has admitted'), 'INTERNAL_SERVER_ERROR']],
    ]);
  });
});

describe('the guard for Nest, where the request of an operation is', () => {
  const contextOf = (graphql: unknown) =>
    ({
      getType: () => 'graphql',
      getArgByIndex: (index: number) => (index === 2 ? graphql : {}),
    }) as unknown as ExecutionContext;
  const request = { headers: { 'x-api-key': 'sk-1' } };

  it.each([
    ['Apollo', { req: request }],
    ['Mercurius', { reply: { request: { raw: {}, ...request } } }],
    ['graphql-ws', { extra: { request } }],
    ['graphql-ws behind Apollo', { req: { extra: { request } } }],
  ])('finds it in the context of %s', async (_, context) => {
    expect(await apiKeyAuth(saying(acme)).canActivate(contextOf(context))).toBe(true);
  });

  it.each([undefined, {}, { req: {} }, { req: { headers: null } }])(
    'refuses a context without it: %j',
    async (context) => {
      await expect(apiKeyAuth(saying(acme)).canActivate(contextOf(context))).rejects.toThrow(
        /expected the request in the GraphQL context/,
      );
    },
  );
});

describe('the guard for Nest in a gateway', () => {
  const gatewayOf = (auth: NestAuth, handleConnection?: (...args: never[]) => void): Type => {
    const methods = { me: [SubscribeMessage('me'), UseGuards(auth)], unguarded: [SubscribeMessage('unguarded')] };
    const gateway = classOf(methods, (identity) => ({ event: 'hello', data: clientOf(identity) }));
    if (handleConnection !== undefined) Object.assign(gateway.prototype as object, { handleConnection });
    WebSocketGateway()(gateway);
    return moduleOf({ providers: [gateway] });
  };

  /** What the server says to a message over Socket.IO. */
  const overSocketIo = async (message: string, auth: NestAuth, options: object) => {
    const { url, close } = await listening(gatewayOf(auth), (app) => app.useWebSocketAdapter(new IoAdapter(app)));
    const socket = io(url, { transports: ['websocket'], reconnection: false, forceNew: true, ...options });
    const heard = await new Promise((resolve) => {
      socket.once('hello', resolve);
      socket.once('exception', resolve);
      socket.emit(message, { identity: { client: 'mallory' } });
    });
    socket.disconnect();
    await close();
    return heard;
  };

  it('admits a message on a socket that was opened with a valid key', async () => {
    const verifier = saying(acme);
    expect(await overSocketIo('me', apiKeyAuth(verifier), { auth: { token: 'sk-1' } })).toBe('acme');
    expect(await overSocketIo('me', apiKeyAuth(verifier), { extraHeaders: { 'x-api-key': 'sk-2' } })).toBe('acme');
    expect(verifier.asked.map(({ key }) => key)).toEqual(['sk-1', 'sk-2']);
  });

  it('denies a message by an exception with the problem details', async () => {
    const auth = apiKeyAuth(saying(rejected('revoked')));
    expect(await overSocketIo('me', auth, { auth: { token: 'sk-1' } })).toMatchObject({
      status: 401,
      reason: 'revoked',
    });
    const own = apiKeyAuth(saying(acme), { onDenied: () => ({ body: 'No.' }) });
    expect(await overSocketIo('me', own, {})).toMatchObject({ message: 'No.' });
  });

  it('takes no identity from a message', async () => {
    const auth = apiKeyAuth(saying(acme));
    expect(await overSocketIo('unguarded', auth, { auth: { token: 'sk-1' } })).toMatchObject({
      status: 'error',
      message: 'Internal server error',
    });
  });

  /** What the server says to a message over the platform ws. */
  const overWs = async (auth: NestAuth, handleConnection?: (...args: never[]) => void) => {
    const { url, close } = await listening(gatewayOf(auth, handleConnection), (app) =>
      app.useWebSocketAdapter(new WsAdapter(app)),
    );
    const socket = new WebSocket(url.replace('http', 'ws'), { headers: { 'x-api-key': 'sk-1' } });
    await once(socket, 'open');
    socket.send(JSON.stringify({ event: 'me', data: {} }));
    const [message] = (await once(socket, 'message')) as [Buffer];
    socket.terminate();
    await close();
    return JSON.parse(message.toString()) as { event: string; data: unknown };
  };

  it('needs to be told the request of a socket of ws, which does not know it', async () => {
    const auth = apiKeyAuth(saying(acme));
    const remember = (socket: object, request: Parameters<NestAuth['remember']>[1]): void =>
      auth.remember(socket, request);
    expect(await overWs(auth, remember)).toEqual({ event: 'hello', data: 'acme' });
    expect(await overWs(apiKeyAuth(saying(acme)))).toMatchObject({ event: 'exception' });
  });
});

describe('the guard for Nest in a microservice', () => {
  it('refuses a call, and takes no identity from its payload', async () => {
    const errors: unknown[] = [];
    const quiet = (): void => undefined;
    Logger.overrideLogger({ log: quiet, warn: quiet, error: (error: unknown) => errors.push(error) });
    const controller = classOf(
      { me: [MessagePattern('me'), UseGuards(apiKeyAuth(saying(acme)))], unguarded: [MessagePattern('unguarded')] },
      clientOf,
    );
    Controller()(controller);
    const options = { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } } as const;
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(
      moduleOf({ controllers: [controller] }),
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- as the documentation of Nest does
      options,
    );
    await app.listen();
    const server = app.unwrap<{ address(): { port: number } }>();
    const client = ClientProxyFactory.create({
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port: server.address().port },
    });
    const payload = { identity: { client: 'mallory' }, headers: { 'x-api-key': 'sk-1' } };
    for (const pattern of ['me', 'unguarded'])
      await expect(firstValueFrom(client.send(pattern, payload))).rejects.toMatchObject({
        message: 'Internal server error',
      });
    client.close();
    await app.close();
    Logger.overrideLogger(false);
    expect(String(errors)).toMatch(
      /this guard is for HTTP, GraphQL and WebSockets, not for rpc[^]*no guard has admitted/,
    );
  });
});
