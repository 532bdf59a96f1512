import * as grpc from '@grpc/grpc-js';
import { apiKeyAuth } from 'keyverify/grpc';
import { type AdapterCall, type AdapterReply, adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { testAdapter } from './suite.js';

const json = {
  serialize: (value: object) => Buffer.from(JSON.stringify(value)),
  deserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as object,
};

const method = (path: string, stream = false) => ({
  path: `/test.Test${path}`,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: json.serialize,
  requestDeserialize: json.deserialize,
  responseSerialize: json.serialize,
  responseDeserialize: json.deserialize,
});

const HTTP = new Map<number, number>([
  [grpc.status.INVALID_ARGUMENT, 400],
  [grpc.status.UNAUTHENTICATED, 401],
  [grpc.status.PERMISSION_DENIED, 403],
  [grpc.status.NOT_FOUND, 404],
  [grpc.status.RESOURCE_EXHAUSTED, 429],
  [grpc.status.INTERNAL, 500],
  [grpc.status.UNAVAILABLE, 503],
]);

/** A unary call, told in the words of HTTP: the message of a denial is its reason. */
async function callGrpc({ url, path, headers, signal }: AdapterCall): Promise<AdapterReply> {
  const client = new grpc.Client(url, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  for (const [name, value] of headers) metadata.add(name, value);
  const reply = new Promise<AdapterReply>((resolve, reject) => {
    const done: grpc.requestCallback<object> = (error, value) => {
      const status = error === null ? 200 : HTTP.get(error.code);
      const sent = error?.metadata.getMap() ?? {};
      const denial = { reason: error?.details, requestId: sent['x-request-id'] };
      if (status === undefined) reject(new Error('no status of HTTP', { cause: error }));
      else resolve({ status, headers: sent, body: JSON.stringify(value ?? denial) });
    };
    const { requestSerialize, responseDeserialize, path: name } = method(path);
    const call = client.makeUnaryRequest(name, requestSerialize, responseDeserialize, {}, metadata, done);
    signal?.addEventListener('abort', () => call.cancel());
  });
  return await reply.finally(() => client.close());
}

async function stop(server: grpc.Server): Promise<void> {
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
}

async function serve(server: grpc.Server): Promise<{ url: string; close: () => Promise<void> }> {
  const port = await new Promise<number>((resolve, reject) => {
    const done = (error: Error | null, bound: number): void => {
      if (error === null) resolve(bound);
      else reject(error);
    };
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), done);
  });
  return { url: `127.0.0.1:${port}`, close: async () => await stop(server) };
}

testAdapter(
  'gRPC',
  async (verifier, handler) => {
    const routes = Object.entries(adapterRoutes).map(
      ([path, options]) => [path, apiKeyAuth(verifier, options)] as const,
    );
    const byPath = new Map(routes.map(([path, auth]) => [method(path).path, auth]));
    const byMethod: grpc.ServerInterceptor = (definition, call) => {
      const auth = byPath.get(definition.path);
      if (auth === undefined) throw new Error('no such method');
      return auth.interceptor(definition, call);
    };
    const server = new grpc.Server({ interceptors: [byMethod] });
    const answer =
      (auth: ReturnType<typeof apiKeyAuth>) =>
      (call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>): void =>
        callback(null, handler(auth.identityOf(call) as Parameters<typeof handler>[0]));
    const service = Object.fromEntries(routes.map(([path]) => [path, method(path)]));
    server.addService(service, Object.fromEntries(routes.map(([path, auth]) => [path, answer(auth)])));
    return await serve(server);
  },
  { call: callGrpc, http: false },
);

describe('the interceptor for gRPC', () => {
  it('opens no stream without a key, and knows who has opened one', async () => {
    const { interceptor, identityOf } = apiKeyAuth(saying(acme));
    const server = new grpc.Server({ interceptors: [interceptor] });
    const opened: string[] = [];
    server.addService(
      { chat: method('/chat', true) },
      {
        chat: (call: grpc.ServerDuplexStream<object, object>) => {
          opened.push(identityOf(call).client);
          call.on('data', (message: object) => call.write(message)).on('end', () => call.end());
        },
      },
    );
    const { url, close } = await serve(server);
    const client = new grpc.Client(url, grpc.credentials.createInsecure());
    const chat = async (metadata: grpc.Metadata) => {
      const { path, requestSerialize, responseDeserialize } = method('/chat');
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      stream.end({ hello: 'there' });
      const heard: unknown[] = [];
      for await (const message of stream) heard.push(message);
      return heard;
    };
    await expect(chat(new grpc.Metadata())).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED });
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer sk-1');
    expect(await chat(metadata)).toEqual([{ hello: 'there' }]);
    expect(opened).toEqual(['acme']);
    client.close();
    await close();
  });

  it('knows nobody of a call that it has not seen', () => {
    const { identityOf } = apiKeyAuth(saying(acme));
    expect(() => identityOf({ metadata: new grpc.Metadata() })).toThrow(/has not seen this call/);
  });
});
