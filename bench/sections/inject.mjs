import Fastify from 'fastify';

import { child } from '../lib/child.mjs';
import { authorizationFor, guards } from '../lib/guards.mjs';
import { paired } from '../lib/paired.mjs';

/** A request that Fastify is handed without a socket: what is left is the framework and the guard. */
const server = await child('servers/key-server.mjs', { keys: 16 });
const urls = { verifyUrl: server.message.verifyUrl };
const cases = {};
for (const guard of Object.keys(guards.fastify)) {
  const app = Fastify();
  const authorization = await authorizationFor('fastify', guard, app, urls);
  app.get('/', async () => ({ hello: 'world' }));
  await app.ready();
  const request = { method: 'GET', url: '/', headers: { authorization } };
  cases[guard] = {
    async run(calls) {
      for (let i = 0; i < calls; i++)
        if ((await app.inject(request)).statusCode !== 200) throw new Error(`${guard} denies`);
    },
  };
}
process.send({ samples: await paired(cases, { rounds: 500, calls: 64, warmUp: 100 }) });
await server.stop();
process.exit();
