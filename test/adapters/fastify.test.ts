import Fastify from 'fastify';
import { InvalidOptionsError, KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/fastify';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { guardedRoutes, routes } from '../../src/testing/suites/adapter-routes.js';
import { testAdapter } from './suite.js';

testAdapter('Fastify', async (verifier, handler) => {
  const app = Fastify({ requestIdHeader: 'x-request-id' });
  void app.register((scope, _, done) => {
    // Not awaited: the routes below are there before the plugin is loaded, and are guarded nonetheless.
    void scope.register(apiKeyAuth, { verifier, failOpen: false });
    for (const [url, config] of Object.entries(routes)) {
      const method = ['GET', 'OPTIONS'];
      scope.route({ method, url, config: { keyverify: config }, handler: (request) => handler(request.identity) });
    }
    done();
  });
  for (const [url, options] of Object.entries(guardedRoutes)) {
    void app.register((scope, _, done) => {
      void scope.register(apiKeyAuth, { verifier, failOpen: false, ...options });
      scope.get(url, (request) => handler(request.identity));
      done();
    });
  }
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, close: async () => await app.close() };
});

describe('the plugin for Fastify', () => {
  const verifier = saying(acme);

  it('guards its own scope and those inside it, and no other', async () => {
    const app = Fastify();
    void app.register(async (scope) => {
      await scope.register(apiKeyAuth, { verifier });
      scope.get('/guarded', (request) => request.identity.client);
      await scope.register((inner, _, done) => {
        inner.get('/inside', (request) => request.identity.client);
        done();
      });
    });
    app.get('/public', () => 'anybody');
    const statuses = ['/guarded', '/inside', '/public'].map(async (url) => (await app.inject(url)).statusCode);
    expect(await Promise.all(statuses)).toEqual([401, 401, 200]);
    const headers = { authorization: 'Bearer sk-1' };
    expect((await app.inject({ url: '/inside', headers })).body).toBe('acme');
  });

  it('guards what is not found as well', async () => {
    const app = Fastify();
    await app.register(apiKeyAuth, { verifier });
    expect((await app.inject('/nothing')).statusCode).toBe(401);
  });

  it('refuses a verifier in place of the options', async () => {
    const own = new KeyVerifier({ verifyUrl: 'https://keys.test/', serviceToken: 'service-token' });
    for (const given of [verifier, own])
      await expect(Fastify().register(apiKeyAuth, given as never)).rejects.toThrow(
        new InvalidOptionsError(['verifier: got it in place of the options: write { verifier }']),
      );
  });

  it('refuses options that do not say what they mean', async () => {
    const options = { verifier, optinal: true } as const;
    await expect(Fastify().register(apiKeyAuth, options)).rejects.toThrow(
      /optinal: there is no such option, did you mean optional\?/,
    );
  });

  it('refuses a route with wrong options at start', async () => {
    const app = Fastify();
    await app.register(apiKeyAuth, { verifier });
    const route = (keyverify: unknown) => (): unknown =>
      app.get('/', { config: { keyverify: keyverify as { optional: true } } }, () => 'in');
    expect(route({ optinal: true })).toThrow(/optinal: there is no such option, did you mean optional\?/);
    expect(route({ realm: 'api' })).toThrow(
      'realm: there is no such option of a route, set it where the guard is made',
    );
    expect(route({ scope: 'a' })).toThrow('scope: there is no such option here, it is one of KeyVerifier');
    expect(route({ optional: 'false' })).toThrow(/optional: expected true or false/);
    expect(route(null)).toThrow(new InvalidOptionsError(['GET /: config.keyverify: expected an object, got null']));
    expect(route({ autorize: 1, maxAgeMs: -1 })).toThrow(
      new InvalidOptionsError([
        'GET /: config.keyverify.maxAgeMs: expected a number of milliseconds, 0 or more, got -1',
        'GET /: config.keyverify.autorize: there is no such option, did you mean authorize?',
      ]),
    );
    const several = { method: ['GET', 'POST'], url: '/orders', handler: () => 'in' };
    const config = { keyverify: { optional: 1 as unknown as true } };
    expect(() => app.route({ ...several, config })).toThrow(
      new InvalidOptionsError(['GET, POST /orders: config.keyverify.optional: expected true or false, got 1']),
    );
  });

  it('denies each request of such a route that was there before the plugin', async () => {
    const app = Fastify();
    void app.register(apiKeyAuth, { verifier });
    app.get('/', { config: { keyverify: { optinal: true } as object } }, () => 'in');
    expect((await app.inject('/')).statusCode).toBe(500);
  });

  const deny = { authorize: () => false };
  const ofAnother = { verify: deny, keys: deny, rateLimit: { max: 1 } };

  it.each(['keyVerify', 'key_verify', 'keyverfy', 'KeyVerifier', 'keyverifyOptions'])(
    'refuses %s in place of keyverify, in the config of a route or outside it',
    async (name) => {
      const app = Fastify();
      await app.register(apiKeyAuth, { verifier });
      const misspelled = { config: { [name]: deny } };
      expect(() => app.get('/a', misspelled, () => 'in')).toThrow(new InvalidOptionsError([`GET /a: config.${name}: did you mean keyverify?`])); // prettier-ignore
      const outside = { config: null, [name]: deny } as object;
      expect(() => app.get('/', outside, () => 'in')).toThrow(`GET /: ${name}: did you mean config.keyverify?`);
    },
  );

  it('denies each request of a route with such a name that was there before the plugin', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    onTestFinished(() => warn.mockRestore());
    const app = Fastify();
    void app.register(apiKeyAuth, { verifier });
    app.get('/', { config: { keyVerify: deny } as object }, () => 'in');
    app.get('/right', { config: { keyverify: deny, ...ofAnother } }, () => 'in');
    const headers = { 'x-api-key': 'sk-1' };
    app.get('/other', { config: { keyverify: { optinal: true } } as object }, () => 'in');
    const urls = ['/?key=sk-1', '/', '/right', '/right', '/other', '/other'];
    const statuses = urls.map(async (url) => (await app.inject({ url, headers })).statusCode);
    expect(await Promise.all(statuses)).toEqual([500, 500, 403, 403, 500, 500]);
    const wrong = 'the options of this route are wrong';
    expect(warn.mock.calls).toEqual([
      [
        expect.stringContaining(
          `${wrong} (/): InvalidOptionsError: keyverify: invalid options - config.keyVerify: did you mean keyverify?`,
        ),
      ],
      [
        expect.stringContaining(
          `${wrong} (/other): InvalidOptionsError: keyverify: invalid options - optinal: there is`,
        ),
      ],
    ]);
  });

  it('refuses keyverify beside the config of a route, and leaves alone what others have there', async () => {
    const app = Fastify();
    await app.register(apiKeyAuth, { verifier });
    expect(() => app.get('/', { keyverify: deny } as object, () => 'in')).toThrow(
      'keyverify: did you mean config.keyverify?',
    );
    app.get('/', { config: ofAnother }, () => 'in');
    expect((await app.inject({ url: '/', headers: { 'x-api-key': 'sk-1' } })).statusCode).toBe(200);
  });

  it('says how to register it where it is called, as in the other adapters', () => {
    const call = apiKeyAuth as unknown as (...args: unknown[]) => unknown;
    for (const args of [[verifier], [verifier, { optional: true }], []])
      expect(() => call(...args)).toThrow(/use app\.register\(apiKeyAuth, \{ verifier \}\)/);
  });

  it('takes the options of register(), which have no effect on it', async () => {
    const app = Fastify();
    await app.register(apiKeyAuth, { verifier, prefix: '/v1', logLevel: 'warn', logSerializers: {} });
    app.get('/', ({ identity }) => identity.client);
    expect((await app.inject({ url: '/', headers: { 'x-api-key': 'sk-1' } })).body).toBe('acme');
  });

  it('denies with the id of the request that Fastify logs', async () => {
    const app = Fastify({ genReqId: () => 'req-of-fastify' });
    await app.register(apiKeyAuth, { verifier });
    const { headers } = await app.inject({ url: '/', headers: { 'x-request-id': 'req-7' } });
    expect(headers['x-request-id']).toBe('req-of-fastify');
  });

  it('reads headers that a hook before it has set', async () => {
    const app = Fastify();
    app.addHook('onRequest', (request, _, done) => {
      request.headers = { 'x-api-key': 'sk-1' };
      done();
    });
    await app.register(apiKeyAuth, { verifier });
    app.get('/', ({ identity }) => identity.client);
    expect((await app.inject('/')).body).toBe('acme');
  });

  it('is the only one that sets the identity', async () => {
    const app = Fastify();
    await app.register((scope, _, done) => {
      void scope.register(apiKeyAuth, { verifier });
      scope.get('/', (request) => {
        Reflect.set(request, 'identity', { client: 'mallory' });
        return { client: request.identity.client };
      });
      done();
    });
    const { body } = await app.inject({ url: '/', headers: { 'x-api-key': 'sk-1' } });
    expect(JSON.parse(body)).toEqual({ client: 'acme' });
    const taken = Fastify().decorateRequest('identity');
    await expect(taken.register(apiKeyAuth, { verifier })).rejects.toThrow(/identity/);
  });
});
