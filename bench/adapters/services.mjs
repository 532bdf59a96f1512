import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import bearerAuth from '@fastify/bearer-auth';
import { getRequestListener } from '@hono/node-server';
import { unkey } from '@unkey/hono';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { bearerAuth as honoBearerAuth } from 'hono/bearer-auth';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

import { apiKeyAuth as forExpress } from '../../dist/express.js';
import { apiKeyAuth as forFastify } from '../../dist/fastify.js';
import { apiKeyAuth as forHono } from '../../dist/hono.js';
import { KeyVerifier } from '../../dist/index.js';
import { startKeyServer } from '../../dist/testing.js';
import { ask } from '../lib/ask.mjs';
import { TOKEN } from '../lib/keys.mjs';
import { redirectUnkey } from '../lib/unkey.mjs';

/** What the throwing callback says. It must not reach a caller. */
export const SECRET = 'connect ECONNREFUSED postgres://admin:hunter2@db';

const fail = () => {
  throw new Error(SECRET);
};

const KEYS = { goodKey: 'sk-good-1', badKey: 'sk-bad-1' };

async function listen(listener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

/** A service whose guard asks a key server. `serve` gets its URL, and whether the service's own callback throws. */
const withKeyServer = (serve) => async (throws) => {
  const server = await startKeyServer({ keys: { [KEYS.goodKey]: { client: 'acme', tenant: 'cust-A' } } });
  const service = await listen(await serve(server.verifyUrl, throws));
  const close = () => {
    service.close();
    void server.close();
  };
  return { ...KEYS, url: service.url, outage: () => server.close(), close };
};

const newVerifier = (verifyUrl) => new KeyVerifier({ verifyUrl, serviceToken: TOKEN });
const options = (throws) => (throws ? { authorize: fail } : {});
const check = (verifyUrl, throws) => async (key) => (throws ? fail() : (await ask(verifyUrl, key)).valid);

const inExpress = (guard) => express().get('/', guard, (_request, response) => void response.send('in'));
const inFastify = async (plugin, pluginOptions) => {
  const app = Fastify();
  await app.register(plugin, pluginOptions);
  app.get('/', () => 'in');
  await app.ready();
  return app.routing;
};
const inHono = (guard) => getRequestListener(new Hono().use(guard).get('/', (c) => c.text('in')).fetch);

/** express-oauth2-jwt-bearer fetches the public keys of a token issuer. In the outage that issuer is down. */
async function jwtBearer(throws) {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const issuer = await listen((request, response) => {
    const { url } = issuer;
    const metadata = { issuer: url, jwks_uri: `${url}/jwks`, id_token_signing_alg_values_supported: ['RS256'] };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/jwks' ? { keys: [jwk] } : metadata));
  });
  const validators = throws ? { validators: { iss: fail } } : {};
  const guard = auth({ issuerBaseURL: issuer.url, audience: 'orders', tokenSigningAlg: 'RS256', ...validators });
  const service = await listen(inExpress(guard));
  const token = new SignJWT({ sub: 'acme' }).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).setIssuer(issuer.url);
  const goodKey = await token.setAudience('orders').setIssuedAt().setExpirationTime('1h').sign(privateKey);
  const close = () => {
    service.close();
    issuer.close();
  };
  return { url: service.url, goodKey, badKey: `${goodKey.slice(0, -8)}AAAAAAAA`, outage: issuer.close, close };
}

/** @unkey/hono has the URL of its service built in, so requests to it are redirected to a stand-in. */
async function unkeyHono(throws) {
  const api = await listen(async (request, response) => {
    const valid = (await json(request)).key === KEYS.goodKey;
    const data = { valid, code: valid ? 'VALID' : 'NOT_FOUND' };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ meta: { requestId: 'req_1' }, data }));
  });
  const restoreFetch = redirectUnkey(api.url);
  const service = await listen(inHono(unkey({ rootKey: 'unkey_root', ...(throws && { getKey: fail }) })));
  const close = () => {
    restoreFetch();
    service.close();
    api.close();
  };
  return { ...KEYS, url: service.url, outage: api.close, close };
}

/** How to start each of the services, in the order of the page. */
export const services = {
  'keyverify/express': withKeyServer((url, throws) => inExpress(forExpress(newVerifier(url), options(throws)))),
  'keyverify/fastify': withKeyServer((url, throws) =>
    inFastify(forFastify, { verifier: newVerifier(url), ...options(throws) }),
  ),
  'keyverify/hono': withKeyServer((url, throws) => inHono(forHono(newVerifier(url), options(throws)))),
  '@fastify/bearer-auth': withKeyServer((url, throws) =>
    inFastify(bearerAuth, { keys: new Set(), auth: check(url, throws) }),
  ),
  'hono/bearer-auth': withKeyServer((url, throws) => inHono(honoBearerAuth({ verifyToken: check(url, throws) }))),
  'express-oauth2-jwt-bearer': jwtBearer,
  '@unkey/hono': unkeyHono,
};
