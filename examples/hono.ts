import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/hono';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const app = new Hono()
  .get('/orders', apiKeyAuth(verifier), (c) => c.json({ tenant: c.var.identity.tenant }))
  .get('/catalog', apiKeyAuth(verifier, { optional: true }), (c) => c.json({ tenant: c.var.identity?.tenant ?? null }));

serve({ fetch: app.fetch, port: Number(process.env['PORT'] ?? 3000), hostname: '127.0.0.1' }, (address) => {
  console.log('listening', address);
});
