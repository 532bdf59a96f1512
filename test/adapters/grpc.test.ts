import * as grpc from '@grpc/grpc-js';
import type { AnyVerifyOptions, Verified } from 'keyverify';
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

const notSent = [
  'refuses two bearers, of which Node keeps the first',
  'refuses a header that is sent twice, also where one of the two has no key',
];

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
  // The client doesn't send them, and the server of Node hands on the first of those that others send.
  { call: callGrpc, http: false, except: notSent },
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
    expect(() => identityOf({ metadata: new grpc.Metadata() })).toThrow(/this guard has not admitted this request/);
  });
});

describe('the interceptor for gRPC, for each call', () => {
  /** Asks a server whose interceptors are these who calls. */
  const asking = async (
    { interceptor, identityOf }: ReturnType<typeof apiKeyAuth>,
    sent: Record<string, string>,
    signal: AbortSignal | null,
    ...others: grpc.ServerInterceptor[]
  ) => {
    const server = new grpc.Server({ interceptors: [interceptor, ...others] });
    const calls: grpc.ServerUnaryCall<object, object>[] = [];
    const me = (call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>): void => {
      calls.push(call);
      try {
        callback(null, { client: (identityOf(call) as Verified).client });
      } catch (error) {
        callback({ code: grpc.status.INTERNAL, details: (error as Error).message });
      }
    };
    server.addService({ me: method('/me') }, { me });
    const { url, close } = await serve(server);
    const client = new grpc.Client(url, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(sent)) metadata.set(name, value);
    const { path, requestSerialize, responseDeserialize } = method('/me');
    const told = await new Promise<unknown>((resolve) => {
      const done = (error: grpc.ServiceError | null, value?: object): void => resolve(error?.details ?? value);
      const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, metadata, done);
      signal?.addEventListener('abort', () => call.cancel());
    });
    client.close();
    await close();
    return { told, calls };
  };

  const withKey = { 'x-api-key': 'sk-1' };
  const copying =
    (copy: (metadata: grpc.Metadata) => grpc.Metadata): grpc.ServerInterceptor =>
    (_, call) =>
      new grpc.ServerInterceptingCall(call, {
        start: (next) => next({ onReceiveMetadata: (metadata, pass) => pass(copy(metadata)) }),
      });

  it('knows the caller by a copy of the metadata, too, while the call runs', async () => {
    const merged = (metadata: grpc.Metadata): grpc.Metadata => {
      const copy = new grpc.Metadata();
      copy.merge(metadata);
      return copy;
    };
    for (const copy of [merged, (metadata: grpc.Metadata) => metadata.clone()]) {
      const auth = apiKeyAuth(saying(acme));
      const { told, calls } = await asking(auth, withKey, null, copying(copy));
      expect(told).toEqual({ client: 'acme' });
      // The call is over: nothing is kept of it.
      expect(() => calls.map((call) => auth.identityOf(call))).toThrow(/this guard has not admitted/);
    }
  });

  it('keeps nothing of a call that was cancelled before it was admitted', async () => {
    const client = new AbortController();
    const seen: grpc.Metadata[] = [];
    const verify = async (_: string, { signal }: AnyVerifyOptions): Promise<Verified> => {
      const left = new Promise((resolve) => signal?.addEventListener('abort', resolve));
      client.abort();
      await left;
      return acme;
    };
    const auth = apiKeyAuth({ verify });
    const keeping = copying((metadata) => {
      seen.push(metadata);
      return metadata;
    });
    await asking({ ...auth, interceptor: keeping }, withKey, client.signal, auth.interceptor);
    expect(seen.map((metadata) => metadata.get('keyverify-call').length)).toEqual([1]);
    expect(() => seen.map((metadata) => auth.identityOf({ metadata: metadata.clone() }))).toThrow(
      /this guard has not admitted/,
    );
  });

  it('takes no identity from the metadata that a caller sends', async () => {
    const forged = { ...withKey, 'keyverify-call': 'forged' };
    const { told, calls } = await asking(apiKeyAuth(saying(acme)), forged, null);
    expect(told).toEqual({ client: 'acme' });
    expect(calls[0]?.metadata.get('keyverify-call')).not.toContain('forged');
  });

  it('needs no key for a method that is exempt, which then has no identity', async () => {
    const verifier = saying(acme);
    const auth = apiKeyAuth(verifier, { exemptMethods: ['/test.Test/me'] });
    const { told, calls } = await asking(auth, { 'keyverify-call': 'forged' }, null);
    expect(told).toMatch(/this guard has not admitted/);
    expect(calls[0]?.metadata.get('keyverify-call')).toEqual([]);
    expect(verifier.asked).toEqual([]);
    expect((await asking(apiKeyAuth(verifier, { exemptMethods: ['/test.Test/you'] }), {}, null)).told).toBe(
      'missing_key',
    );
  });

  it.each(['/test.Test/me', ['test.Test/me'], ['/test.Test'], [1]])(
    'refuses %j as the methods that are exempt',
    (exempt) => {
      const options = { exemptMethods: exempt as string[] };
      expect(() => apiKeyAuth(saying(acme), options)).toThrow(/exemptMethods: expected an array of paths/);
      expect(() => apiKeyAuth(saying(acme), null as never)).toThrow(/options: expected an object, got null$/);
    },
  );
});
