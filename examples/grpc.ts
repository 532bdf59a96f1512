import { Server, ServerCredentials, type ServiceDefinition, type handleUnaryCall } from '@grpc/grpc-js';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/grpc';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const serialize = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const deserialize = (bytes: Buffer): object => JSON.parse(bytes.toString()) as object;

// What protoc would generate; JSON on the wire saves the example a .proto file.
export const orders = {
  list: {
    path: '/shop.Orders/List',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
} as const satisfies ServiceDefinition;

const { interceptor, identityOf } = apiKeyAuth(verifier);

const list: handleUnaryCall<object, object> = (call, callback) => {
  callback(null, { tenant: identityOf(call).tenant });
};

const grpc = new Server({ interceptors: [interceptor] });
grpc.addService(orders, { list });
grpc.bindAsync(
  `127.0.0.1:${process.env['PORT'] ?? '3000'}`,
  ServerCredentials.createInsecure(),
  (error, port): void => {
    console.log('listening', error ?? { address: '127.0.0.1', port });
  },
);
