import express from 'express';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/express';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const app = express();

app.get('/orders', apiKeyAuth(verifier), (_, res) => {
  res.json({ tenant: res.locals.identity.tenant });
});

app.get('/catalog', apiKeyAuth(verifier, { optional: true }), (_, res) => {
  res.json({ tenant: res.locals.identity?.tenant ?? null });
});

const http = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log('listening', http.address());
});
