import { hash } from 'node:crypto';

import bearerAuth from '@fastify/bearer-auth';
import fastifyJwt from '@fastify/jwt';
import { unkey } from '@unkey/hono';
import { createSigner } from 'fast-jwt';
import { auth } from 'express-oauth2-jwt-bearer';
import { bearerAuth as honoBearerAuth } from 'hono/bearer-auth';

import { apiKeyAuth as forExpress } from '../../dist/express.js';
import { apiKeyAuth as forFastify } from '../../dist/fastify.js';
import { apiKeyAuth as forHono } from '../../dist/hono.js';
import { KeyVerifier } from '../../dist/index.js';
import { handwritten } from './handwritten.mjs';
import { TOKEN, keyOf } from './keys.mjs';
import { redirectUnkey } from './unkey.mjs';

const KEY = keyOf(1);
const SECRET = 'a secret of 32 characters or more';
const [ISSUER, AUDIENCE] = ['https://issuer.example/', 'orders'];

/** HS256, the cheapest of all signatures to check. */
const sign = createSigner({ key: SECRET, algorithm: 'HS256', iss: ISSUER, aud: AUDIENCE, expiresIn: 3_600_000 });
const token = () => sign({ sub: 'client-000001', tenant: 'customer-000001', plan: 'pro' });

const verifierOf = ({ verifyUrl }) => new KeyVerifier({ verifyUrl, serviceToken: TOKEN });
function byHand({ verifyUrl }) {
  const { verify } = handwritten({ verifyUrl });
  return async ({ authorization = '' }) => (await verify(authorization.replace(/^Bearer /, ''))).valid === true;
}

/**
 * How each guard is put before a hello world, and what callers then send: a key, or a token where that is what it checks.
 * `urls` has the URL of the key server (`verifyUrl`) and of a stand-in for Unkey's service (`unkeyUrl`).
 */
export const guards = {
  fastify: {
    bare: () => undefined,
    'a hook that hashes': (app) => {
      app.addHook('onRequest', ({ headers }, _reply, done) => {
        if (hash('sha256', headers.authorization, 'binary').length === 32) done();
      });
    },
    keyverify: async (app, urls) => void (await app.register(forFastify, { verifier: verifierOf(urls) })),
    'by hand': (app, urls) => {
      const allows = byHand(urls);
      app.addHook('onRequest', async ({ headers }, reply) => {
        if (!(await allows(headers))) return await reply.code(401).send({ error: 'unauthorized' });
      });
    },
    '@fastify/bearer-auth': async (app) => void (await app.register(bearerAuth, { keys: new Set([KEY]) })),
    '@fastify/jwt': async (app) => {
      await app.register(fastifyJwt, { secret: SECRET });
      app.addHook('onRequest', (request) => request.jwtVerify());
      return token();
    },
    '@fastify/jwt, cached': async (app) => {
      await app.register(fastifyJwt, { secret: SECRET, verify: { cache: true } });
      app.addHook('onRequest', (request) => request.jwtVerify());
      return token();
    },
  },
  express: {
    bare: () => undefined,
    keyverify: (app, urls) => void app.use(forExpress(verifierOf(urls))),
    'by hand': (app, urls) => {
      const allows = byHand(urls);
      app.use((request, response, next) => {
        allows(request.headers).then(
          (allowed) => (allowed ? next() : response.status(401).json({ error: 'unauthorized' })),
          next,
        );
      });
    },
    'express-oauth2-jwt-bearer': (app) => {
      app.use(auth({ secret: SECRET, tokenSigningAlg: 'HS256', issuer: ISSUER, audience: AUDIENCE }));
      return token();
    },
  },
  hono: {
    bare: () => undefined,
    keyverify: (app, urls) => void app.use(forHono(verifierOf(urls))),
    'hono/bearer-auth': (app) => void app.use(honoBearerAuth({ token: KEY })),
    '@unkey/hono': (app, { unkeyUrl }) => {
      redirectUnkey(unkeyUrl);
      app.use(unkey({ rootKey: 'unkey_root' }));
    },
  },
};

/** Those that compare with a list in memory: they know neither whose key it is, nor revocations, nor an end of the key. */
export const FIXED_LISTS = ['@fastify/bearer-auth', 'hono/bearer-auth'];

/** Those that are no guards, to compare with. */
export const NO_GUARDS = ['bare', 'a hook that hashes'];

/** Puts a guard before an app, and returns the header that callers send. */
export async function authorizationFor(framework, guard, app, urls) {
  return `Bearer ${(await guards[framework][guard](app, urls)) ?? KEY}`;
}
