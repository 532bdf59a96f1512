import Koa from 'koa';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/koa';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const app = new Koa().use(apiKeyAuth(verifier)).use((ctx) => {
  ctx.body = { tenant: ctx.state.identity.tenant };
});

const http = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log('listening', http.address());
});
