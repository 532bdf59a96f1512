import { hash } from 'node:crypto';

import express from 'express';
import Fastify from 'fastify';

import { keyverify as guardFastify } from '../../dist/fastify.js';
import { keyverify as guardExpress } from '../../dist/express.js';
import { KeyVerifier } from '../../dist/index.js';
import { given } from '../lib/child.mjs';
import { handwritten } from '../lib/handwritten.mjs';
import { TOKEN } from '../lib/keys.mjs';

/** A hello world of the given framework, behind the given guard. */
const { framework, guard, verifyUrl } = given();
const verifier = new KeyVerifier({ verifyUrl, serviceToken: TOKEN });
const byHand = handwritten({ verifyUrl });
const hello = { hello: 'world' };

const allows = async (headers) => {
  const { authorization = '' } = headers;
  return (await byHand.verify(authorization.replace(/^Bearer /, ''))).valid === true;
};

if (framework === 'fastify') {
  const app = Fastify();
  if (guard === 'keyverify') await app.register(guardFastify, { verifier });
  if (guard === 'an empty hook') app.addHook('onRequest', (_request, _reply, done) => done());
  if (guard === 'a hook that hashes')
    app.addHook('onRequest', ({ headers }, _reply, done) => {
      if (hash('sha256', headers.authorization, 'hex').length === 64) done();
    });
  if (guard === 'by hand')
    app.addHook('onRequest', async (request, reply) => {
      if (!(await allows(request.headers))) return await reply.code(401).send({ error: 'unauthorized' });
    });
  app.get('/', async () => hello);
  await app.listen({ port: 0, host: '127.0.0.1' });
  process.send({ port: app.server.address().port });
} else {
  const app = express();
  if (guard === 'keyverify') app.use(guardExpress(verifier));
  if (guard === 'by hand')
    app.use((request, response, next) => {
      allows(request.headers).then(
        (allowed) => (allowed ? next() : response.status(401).json({ error: 'unauthorized' })),
        next,
      );
    });
  app.get('/', (_request, response) => response.json(hello));
  const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
}
