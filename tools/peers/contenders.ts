import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

import bearerAuth from '@fastify/bearer-auth';
import { getRequestListener } from '@hono/node-server';
import { unkey } from '@unkey/hono';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import Fastify, { type FastifyInstance } from 'fastify';
import { Hono } from 'hono';
import { bearerAuth as honoBearerAuth } from 'hono/bearer-auth';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { KeyVerifier } from 'keyverify';
import { keyverify as forExpress } from 'keyverify/express';
import { keyverify as forFastify } from 'keyverify/fastify';
import { keyverify as forHono } from 'keyverify/hono';
import { startKeyServer } from 'keyverify/testing';

/** What a callback throws that was not meant for callers. */
export const SECRET = 'connect ECONNREFUSED postgres://admin:hunter2@db';

/** One guarded service, and what it takes for its answers. */
export interface Service {
  readonly url: string;
  readonly goodKey: string;
  readonly badKey: string;
  /** Takes away what the service asks about keys. */
  readonly outage: () => void | Promise<void>;
  readonly close: () => void;
}

/** Starts a service; where `throws`, a callback of the user's own throws. */
export type Start = (throws: boolean) => Promise<Service>;

async function listen(listener: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

const fail = (): never => {
  throw new Error(SECRET);
};

const keys = { goodKey: 'sk-good-1', badKey: 'sk-bad-1' };
const startServer = async () =>
  await startKeyServer({ keys: { [keys.goodKey]: { client: 'acme', tenant: 'cust-A' } } });

/** What one writes where a package wants to be told whether a key is good. */
async function ask(verifyUrl: string, key: string): Promise<boolean> {
  const headers = { 'content-type': 'application/json', 'x-service-token': 'service-token' };
  const response = await fetch(verifyUrl, { method: 'POST', headers, body: JSON.stringify({ key }) });
  const { valid } = (await response.json()) as { valid: boolean };
  return valid;
}

const withKeyServer =
  (serve: (verifyUrl: string, throws: boolean) => Promise<RequestListener>): Start =>
  async (throws) => {
    const server = await startServer();
    const service = await listen(await serve(server.verifyUrl, throws));
    const close = (): void => {
      service.close();
      void server.close();
    };
    return { ...keys, url: service.url, outage: async () => await server.close(), close };
  };

const newVerifier = (verifyUrl: string) => new KeyVerifier({ verifyUrl, serviceToken: 'service-token' });

const serveFetch = (app: { readonly fetch: (request: Request) => Response | Promise<Response> }): RequestListener => {
  const respond = getRequestListener(app.fetch);
  return (req, res) => void respond(req, res);
};

const routing = (app: FastifyInstance): RequestListener => {
  app.get('/', () => 'in');
  return (req, res) => void app.ready().then(() => app.routing(req, res));
};

const overExpress = withKeyServer(
  async (verifyUrl, throws) =>
    await Promise.resolve(
      express().get(
        '/',
        forExpress(newVerifier(verifyUrl), throws ? { allow: fail } : {}),
        (_, res) => void res.send('in'),
      ),
    ),
);

const overFastify = withKeyServer(async (verifyUrl, throws) => {
  const app = Fastify();
  await app.register(forFastify, { verifier: newVerifier(verifyUrl), ...(throws && { allow: fail }) });
  return routing(app);
});

const overHono = withKeyServer(async (verifyUrl, throws) => {
  const app = new Hono()
    .use(forHono(newVerifier(verifyUrl), throws ? { allow: fail } : {}))
    .get('/', (c) => c.text('in'));
  return await Promise.resolve(serveFetch(app));
});

const fastifyBearerAuth = withKeyServer(async (verifyUrl, throws) => {
  const app = Fastify();
  const check = async (key: string): Promise<boolean> => (throws ? fail() : await ask(verifyUrl, key));
  await app.register(bearerAuth, { keys: new Set<string>(), auth: check });
  return routing(app);
});

const honoBearer = withKeyServer(async (verifyUrl, throws) => {
  const verifyToken = async (key: string): Promise<boolean> => (throws ? fail() : await ask(verifyUrl, key));
  const app = new Hono().use(honoBearerAuth({ verifyToken })).get('/', (c) => c.text('in'));
  return await Promise.resolve(serveFetch(app));
});

/** It asks nobody about a key, but an issuer for its public keys: that one is out in the outage. */
const jwtBearer: Start = async (throws) => {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const issuer = await listen((req, res) => {
    const { url } = issuer;
    const metadata = { issuer: url, jwks_uri: `${url}/jwks`, id_token_signing_alg_values_supported: ['RS256'] };
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(req.url === '/jwks' ? { keys: [jwk] } : metadata));
  });
  const options = { issuerBaseURL: issuer.url, audience: 'orders', tokenSigningAlg: 'RS256' };
  const guard = auth({ ...options, ...(throws && { validators: { iss: fail } }) });
  const service = await listen(express().get('/', guard, (_, res) => void res.send('in')));
  const token = new SignJWT({ sub: 'acme' }).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).setIssuer(issuer.url);
  const goodKey = await token.setAudience('orders').setIssuedAt().setExpirationTime('1h').sign(privateKey);
  const close = (): void => {
    service.close();
    issuer.close();
  };
  return { url: service.url, goodKey, badKey: `${goodKey.slice(0, -8)}AAAAAAAA`, outage: issuer.close, close };
};

/** It only knows its own service: what is meant for that is answered by a stand-in here, in the shape of its API. */
const unkeyHono: Start = async (throws) => {
  const api = await listen((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { key } = JSON.parse(Buffer.concat(chunks).toString()) as { key: string };
      const valid = key === keys.goodKey;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ meta: { requestId: 'req_1' }, data: { valid, code: valid ? 'VALID' : 'NOT_FOUND' } }));
    });
  });
  const realFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (!request.url.startsWith('https://api.unkey.com/')) return await realFetch(input, init);
    const { pathname } = new URL(request.url);
    const body = await request.text();
    return await realFetch(api.url + pathname, { method: request.method, headers: request.headers, body });
  };
  const guard = unkey({ rootKey: 'unkey_root', ...(throws && { getKey: fail }) });
  const service = await listen(serveFetch(new Hono().use(guard).get('/', (c) => c.text('in'))));
  const close = (): void => {
    globalThis.fetch = realFetch;
    service.close();
    api.close();
  };
  return { ...keys, url: service.url, outage: api.close, close };
};

/** Who answers, in the order of the page. */
export const contenders: Readonly<Record<string, Start>> = {
  'keyverify/express': overExpress,
  'keyverify/fastify': overFastify,
  'keyverify/hono': overHono,
  '@fastify/bearer-auth': fastifyBearerAuth,
  'hono/bearer-auth': honoBearer,
  'express-oauth2-jwt-bearer': jwtBearer,
  '@unkey/hono': unkeyHono,
};
