import { startKeyServer } from '../../dist/testing.js';
import { given } from '../lib/child.mjs';
import { keyOf, recordOf } from '../lib/keys.mjs';

const { keys = 0 } = given();
const server = await startKeyServer({ keepAliveTimeoutMs: 60_000 });
for (let i = 0; i < keys; i++) server.issue(keyOf(i), recordOf(i));

process.on('message', ({ fault, revoke }) => {
  if (fault !== undefined) server.injectFault(fault);
  if (revoke !== undefined) server.revoke(revoke);
  process.send({ requests: server.counts.requests });
});
process.send({ url: server.url, verifyUrl: server.verifyUrl });
