import Fastify from 'fastify';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/fastify';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const app = Fastify();

await app.register(apiKeyAuth, { verifier });

app.get('/orders', (request) => ({ tenant: request.identity.tenant }));

app.get('/catalog', { config: { keyverify: { optional: true } } }, (request) => ({
  tenant: request.identity?.tenant ?? null,
}));

await app.listen({ port: Number(process.env['PORT'] ?? 3000), host: '127.0.0.1' });
console.log('listening', app.server.address());
