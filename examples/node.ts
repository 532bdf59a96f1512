import { createServer } from 'node:http';

import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/node';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const http = createServer(
  apiKeyAuth(verifier, (_request, response, identity) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ tenant: identity.tenant }));
  }),
);

http.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log('listening', http.address());
});
