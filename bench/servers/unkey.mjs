import { createServer } from 'node:http';

import { given } from '../lib/child.mjs';

given();

/** The part of Unkey's protocol that `keys.verifyKey` needs. */
const answer = JSON.stringify({
  meta: { requestId: 'req_1' },
  data: { valid: true, code: 'VALID', keyId: 'key_1', enabled: true, identity: { id: 'id_1', externalId: 'acme' } },
});
let hangs = false;
let requests = 0;
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().once('end', () => {
    requests++;
    if (!hangs) response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
  });
});
process.on('message', ({ hang }) => {
  hangs = hang ?? hangs;
  process.send({ requests });
});
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
