import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { KeyVerifier, type DefaultClaims, type Verified, type VerifyOptions, type VerifyResult } from 'keyverify';
import { startKeyServer, type KeyServer } from 'keyverify/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import type { DefaultVerifier } from '../../src/guard/guard.js';
import type { DenialContext, DenialShape } from '../../src/guard/options.js';
import type { Problem } from '../../src/guard/problem.js';
import { callHttp, type Call, type Reply } from './client.js';

type Identity = Verified | null;

/** What a service under test has for its routes: the same options and the same handler, whatever the framework. */
export const routes = {
  '/me': {},
  '/optional': { optional: true },
  '/open': { failOpen: true },
  '/fresh': { maxAgeMs: 0 },
  '/allowed': { allow: (identity: Identity) => identity?.client === 'globex' },
  '/allow-throws': {
    allow: (): boolean => {
      throw new Error('inside');
    },
  },
} as const;

/** Options that belong to a whole guard, not to a route. */
export const doors = {
  '/shaped': {
    onDenied: ({ reason }: Problem, { result }: DenialContext): DenialShape => ({
      status: 404,
      headers: { 'content-type': 'application/json', 'x-why': result?.source ?? 'none' },
      body: { error: reason },
    }),
  },
  '/hook-throws': {
    onDenied: (): never => {
      throw new Error('inside');
    },
  },
} as const;

export const all = { ...routes, ...doors };

/** The handler behind every route: it counts who gets there. */
export type Handler = (identity: Identity) => { tenant: string | null };

/** The verifier of the test that is running, so that a service is deployed once for all of them. */
class CurrentVerifier {
  now = new KeyVerifier({ verifyUrl: 'http://127.0.0.1:1', serviceToken: 'none' });

  async verify(key: string, options: VerifyOptions): Promise<VerifyResult<DefaultClaims, boolean>> {
    return await this.now.verify(key, options);
  }
}

export type Deploy = (
  verifier: DefaultVerifier,
  handler: Handler,
) => Promise<{ url: string; close: () => Promise<unknown> }>;

export async function listen(server: Server): ReturnType<Deploy> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

interface Speaks {
  /** How a call is made. Default: HTTP. */
  readonly call?: (call: Call) => Promise<Reply>;
  /** Whether there is more than one method. Default: true. */
  readonly methods?: boolean;
}

const keys = {
  'sk-acme-1': { client: 'acme', tenant: 'cust-A' },
  'sk-globex-1': { client: 'globex', tenant: 'cust-A' },
  'sk-other-1': { client: 'other', tenant: 'cust-B' },
  'sk-revoked-1': { client: 'acme', tenant: 'cust-A', reason: 'revoked' },
  'sk-busy-1': { client: 'acme', tenant: 'cust-A', reason: 'rate_limited' },
};

const serviceToken = 'a-service-token';

/** What every adapter has to do, with its real framework on a real port and a real key server behind it. */
export function testAdapter(name: string, deploy: Deploy, { call = callHttp, methods = true }: Speaks = {}): void {
  describe(`the adapter for ${name}`, () => {
    const verifier = new CurrentVerifier();
    const reached: Identity[] = [];
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown): number => rejections.push(reason);
    let server: KeyServer;
    let service: Awaited<ReturnType<Deploy>>;

    beforeAll(async () => {
      process.on('unhandledRejection', onRejection);
      service = await deploy(verifier, (identity) => {
        reached.push(identity);
        return { tenant: identity?.tenant ?? null };
      });
    });
    afterAll(async () => {
      await service.close();
      process.off('unhandledRejection', onRejection);
    });
    beforeEach(async () => {
      reached.length = 0;
      server = await startKeyServer({ keys, serviceTokens: [serviceToken] });
      await verify({});
    });
    afterEach(async () => {
      await server.close();
      expect(rejections).toEqual([]);
    });

    async function verify(options: { maxConcurrency?: number; timeoutMs?: number }): Promise<void> {
      await verifier.now.close();
      const logger = { warn: () => undefined };
      const base = { verifyUrl: server.verifyUrl, serviceToken, scope: 'cust-A', retries: 0, logger };
      verifier.now = new KeyVerifier({ ...base, breaker: false, ...options });
    }

    type Headers = Record<string, string>;
    const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });
    const send = async (
      path: keyof typeof all,
      headers: Headers = {},
      { method = 'GET', signal }: { method?: string; signal?: AbortSignal } = {},
    ): Promise<Reply> => {
      const reply = await call({ url: service.url, path, method, signal, headers: Object.entries(headers) });
      const said = JSON.stringify(reply);
      expect(said).not.toMatch(/sk-|a-service-token|inside|node_modules/);
      return reply;
    };
    const problemOf = ({ body }: Reply) => JSON.parse(body) as Problem;

    async function expectDenial(reply: Promise<Reply>, status: number, reason: string, challenge?: string) {
      const denial = await reply;
      expect(denial.status).toBe(status);
      expect(problemOf(denial)).toMatchObject({ reason, requestId: denial.headers['x-request-id'] });
      expect(denial.headers['www-authenticate']).toBe(challenge);
      expect(reached).toEqual([]);
      return denial;
    }

    it('lets a good key in, with the identity of its owner', async () => {
      expect(await send('/me', bearer('sk-acme-1'))).toMatchObject({ status: 200, body: '{"tenant":"cust-A"}' });
      expect(reached).toMatchObject([{ client: 'acme', tenant: 'cust-A', source: 'server' }]);
      expect(await send('/me', { 'X-API-Key': 'sk-acme-1' })).toMatchObject({ status: 200 });
      expect(reached[1]).toMatchObject({ client: 'acme', source: 'cache' });
    });

    it('answers 401 without a key, and says what is expected', async () => {
      await expectDenial(send('/me'), 401, 'missing_key', 'Bearer realm="api"');
      expect(server.counts.requests).toBe(0);
    });

    it('answers 401 to a bad key', async () => {
      const challenge = 'Bearer realm="api", error="invalid_token"';
      await expectDenial(send('/me', bearer('sk-nobody-1')), 401, 'unknown_key', challenge);
      await expectDenial(send('/me', bearer('sk-revoked-1')), 401, 'revoked', challenge);
    });

    it('answers 403 to a key of another scope', async () => {
      const challenge = 'Bearer realm="api", error="insufficient_scope"';
      await expectDenial(send('/me', bearer('sk-other-1')), 403, 'scope_mismatch', challenge);
    });

    it('answers 429 where the key server says that this key has called too often', async () => {
      await expectDenial(send('/me', bearer('sk-busy-1')), 429, 'rate_limited');
    });

    it('answers 503 with Retry-After in an outage, never 401, and recovers from it', async () => {
      await server.stop();
      const denial = await expectDenial(send('/me', bearer('sk-acme-1')), 503, 'unavailable');
      expect(denial.headers['retry-after']).toBe('1');
      await server.start();
      expect((await send('/me', bearer('sk-acme-1'))).status).toBe(200);
    });

    it('answers 500 without detail where the service is misconfigured', async () => {
      server.setServiceTokens(['another-token']);
      const denial = await expectDenial(send('/me', bearer('sk-acme-1')), 500, 'internal_error');
      expect(denial.body).not.toMatch(/token|misconfigured|\b40[13]\b/);
    });

    it('answers 503 when it has too much to ask, and lets nobody past for that', async () => {
      await verify({ maxConcurrency: 1, timeoutMs: 300 });
      server.misbehave({ kind: 'hang' });
      const calls = Array.from({ length: 80 }, async (_, at) => await send('/open', bearer(`sk-made-up-${at}`)));
      const replies = await Promise.all(calls);
      // One asks and 64 wait for their turn: the rest are refused at once, and not one of them is let in.
      const { results } = verifier.now.stats();
      expect(results['fail-closed']).toBeGreaterThanOrEqual(15);
      expect(replies.filter(({ status }) => status === 503)).toHaveLength(results['fail-closed']);
      expect(reached).toHaveLength(results['fail-open']);
    });

    it('lets callers without a key in where that is optional, and still denies a bad one', async () => {
      expect(await send('/optional')).toMatchObject({ status: 200, body: '{"tenant":null}' });
      expect(await send('/optional', bearer('sk-acme-1'))).toMatchObject({ body: '{"tenant":"cust-A"}' });
      expect((await send('/optional', bearer('sk-nobody-1'))).status).toBe(401);
      expect(reached).toHaveLength(2);
    });

    it('lets callers in without an identity in an outage where a route fails open, and nowhere else', async () => {
      await server.stop();
      expect(await send('/open', bearer('sk-acme-1'))).toMatchObject({ status: 200, body: '{"tenant":null}' });
      expect((await send('/me', bearer('sk-acme-1'))).status).toBe(503);
      expect(reached).toEqual([null]);
    });

    it('asks the key server each time where a route wants a fresh verdict', async () => {
      expect((await send('/fresh', bearer('sk-acme-1'))).status).toBe(200);
      server.revoke('sk-acme-1');
      expect((await send('/fresh', bearer('sk-acme-1'))).status).toBe(401);
      expect(server.asked('sk-acme-1')).toBe(2);
    });

    it('answers 403 to callers that a route does not allow', async () => {
      await expectDenial(send('/allowed', bearer('sk-acme-1')), 403, 'not_allowed');
      expect((await send('/allowed', bearer('sk-globex-1'))).status).toBe(200);
    });

    it('denies with a bare 500 when allow() or a hook throws', async () => {
      await expectDenial(send('/allow-throws', bearer('sk-acme-1')), 500, 'internal_error');
      await expectDenial(send('/hook-throws'), 500, 'internal_error');
    });

    it('lets a hook shape the denial', async () => {
      expect(await send('/shaped', bearer('sk-revoked-1'))).toMatchObject({ status: 404 });
      expect((await send('/shaped', bearer('sk-acme-1'))).status).toBe(200);
      expect(reached).toHaveLength(1);
    });

    it('refuses two keys in one request, in two headers or in one', async () => {
      const challenge = 'Bearer realm="api", error="invalid_request"';
      const both = { ...bearer('sk-acme-1'), 'X-API-Key': 'sk-globex-1' };
      await expectDenial(send('/me', both), 400, 'ambiguous_key', challenge);
      const headers = ['sk-acme-1', 'sk-globex-1'].map((key) => ['x-api-key', key] as const);
      const twice = call({ url: service.url, path: '/me', method: 'GET', headers });
      await expectDenial(twice, 400, 'ambiguous_key', challenge);
    });

    it('outlives a caller who leaves: the question goes on for the others', async () => {
      server.misbehave({ kind: 'delay', ms: 200 });
      const leaving = new AbortController();
      const left = send('/me', bearer('sk-acme-1'), { signal: leaving.signal });
      await vi.waitFor(() => expect(server.counts.inFlight).toBe(1));
      const staying = send('/me', bearer('sk-acme-1'));
      leaving.abort();
      await expect(left).rejects.toThrow();
      expect((await staying).status).toBe(200);
      expect(server.asked('sk-acme-1')).toBe(1);
      expect(reached).toHaveLength(1);
    });

    it('asks once for 200 callers with one key', async () => {
      const replies = await Promise.all(
        Array.from({ length: 200 }, async () => await send('/me', bearer('sk-acme-1'))),
      );
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(200);
      expect(server.asked('sk-acme-1')).toBe(1);
      expect(reached).toHaveLength(200);
    });

    if (methods) {
      it('answers in application/problem+json that is not cached', async () => {
        const { headers, body } = await send('/me', { 'X-Request-Id': 'req-7' });
        expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-request-id': 'req-7' });
        expect(headers['content-type']).toMatch(/^application\/problem\+json/);
        expect(JSON.parse(body)).toEqual({
          type: 'urn:keyverify:problem:missing-key',
          title: 'An API key is required',
          status: 401,
          reason: 'missing_key',
          requestId: 'req-7',
        });
      });

      it('keeps to the shape that a hook gives', async () => {
        const { headers, body } = await send('/shaped', bearer('sk-revoked-1'));
        expect(headers).toMatchObject({ 'x-why': 'server', 'cache-control': 'no-store' });
        expect(headers['content-type']).toMatch(/^application\/json/);
        expect(body).toBe('{"error":"revoked"}');
      });

      it('answers a HEAD as a GET, without the body', async () => {
        const denial = await send('/me', {}, { method: 'HEAD' });
        expect(denial).toMatchObject({ status: 401, body: '', headers: { 'www-authenticate': 'Bearer realm="api"' } });
        expect(reached).toEqual([]);
        expect((await send('/me', bearer('sk-acme-1'), { method: 'HEAD' })).status).toBe(200);
      });

      it('makes no exception for the preflight of a browser', async () => {
        const preflight = { Origin: 'https://app.test', 'Access-Control-Request-Method': 'GET' };
        await expectDenial(send('/me', preflight, { method: 'OPTIONS' }), 401, 'missing_key', 'Bearer realm="api"');
      });
    }
  });
}
