import { createServer } from 'node:http';

import { KeyVerifier } from 'keyverify';
import { startKeyServer } from 'keyverify/testing';
import { apiKeyAuth } from 'keyverify/ws';
import { WebSocketServer } from 'ws';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

const wss = new WebSocketServer({ noServer: true });
const http = createServer();

http.on(
  'upgrade',
  apiKeyAuth(verifier, wss, (socket, _request, identity) => {
    socket.send(JSON.stringify({ tenant: identity.tenant }));
  }),
);

http.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log('listening', http.address());
});
