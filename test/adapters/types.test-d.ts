import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';

import express from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import { Hono } from 'hono';
import type { KeyVerifier, Verified, Verifier } from 'keyverify';
import * as forExpress from 'keyverify/express';
import { apiKeyAuth as forFastify } from 'keyverify/fastify';
import { apiKeyAuth as forFetch, type FetchAuth } from 'keyverify/fetch';
import { createGuard, type Decision } from 'keyverify/guard';
import { apiKeyAuth as forHono } from 'keyverify/hono';
import { apiKeyAuth as forKoa } from 'keyverify/koa';
import { apiKeyAuth as forLambda, type LambdaEvent, type LambdaResponse } from 'keyverify/lambda';
import { apiKeyAuth as forNode } from 'keyverify/node';
import { stubVerifier } from 'keyverify/testing';
import Koa from 'koa';
import { describe, expectTypeOf, it } from 'vitest';

interface Plan {
  readonly plan: string;
}

declare const closed: KeyVerifier;
declare const open: KeyVerifier<true>;
declare const either: KeyVerifier<boolean>;
declare const typed: KeyVerifier<false, Plan>;

/** The identity that a handler gets. */
const identityFor = <Identity>(auth: FetchAuth<Identity>) => {
  expectTypeOf(auth).not.toBeAny();
  return expectTypeOf<Identity>();
};

describe('the identity', () => {
  it('is there wherever the verifier fails closed', () => {
    identityFor(forFetch(closed)).toEqualTypeOf<Verified>();
    identityFor(
      forFetch(closed, { maxAgeMs: 0, authorize: ({ tenant }) => tenant === 'eu' }),
    ).toEqualTypeOf<Verified>();
    identityFor(forFetch(open, { failOpen: false })).toEqualTypeOf<Verified>();
    identityFor(forFetch(typed)).toEqualTypeOf<Verified<Plan>>();
  });

  it('may be null where a route is optional or anything may fail open', () => {
    identityFor(forFetch(closed, { optional: true })).toEqualTypeOf<Verified | null>();
    identityFor(forFetch(closed, { failOpen: true })).toEqualTypeOf<Verified | null>();
    identityFor(forFetch(open)).toEqualTypeOf<Verified | null>();
    identityFor(forFetch(either)).toEqualTypeOf<Verified | null>();
    identityFor(forFetch(typed, { optional: true })).toEqualTypeOf<Verified<Plan> | null>();
  });

  it('is the same where an option is undefined, but a flag that may be undefined may be true, too', () => {
    const flags = { optional: undefined, failOpen: undefined } as const;
    const none = {
      maxAgeMs: undefined,
      authorize: undefined,
      keySources: undefined,
      realm: undefined,
      onDenied: undefined,
    };
    identityFor(forFetch(closed, none)).toEqualTypeOf<Verified>();
    identityFor(forFetch(closed, flags)).toEqualTypeOf<Verified | null>();
    const optional = Math.random() > 0.5 ? true : undefined;
    identityFor(forFetch(closed, { optional })).toEqualTypeOf<Verified | null>();
    forKoa(closed, { ...flags, ...none });
    forExpress.apiKeyAuth(closed, { ...flags, ...none });
    void Fastify().register(forFastify, { verifier: closed, ...flags, ...none });
  });

  it('follows whatever stands in for a verifier', () => {
    const verify = async (): Promise<Verified> => await Promise.reject(new Error('never called'));
    identityFor(forFetch({ verify })).toEqualTypeOf<Verified>();
    identityFor(forFetch(stubVerifier())).toEqualTypeOf<Verified>();
    identityFor(forFetch(stubVerifier({ failOpen: true }))).toEqualTypeOf<Verified | null>();
    identityFor(forFetch({} as Verifier)).toEqualTypeOf<Verified | null>();
    identityFor(forFetch({} as Verifier<false>)).toEqualTypeOf<Verified>();
  });

  it('is the same with a function that returns the verifier', () => {
    identityFor(forFetch(() => closed)).toEqualTypeOf<Verified>();
    identityFor(forFetch(() => typed)).toEqualTypeOf<Verified<Plan>>();
    identityFor(forFetch(() => open)).toEqualTypeOf<Verified | null>();
    identityFor(forFetch(() => stubVerifier(), { optional: true })).toEqualTypeOf<Verified | null>();
    // @ts-expect-error -- a promise of a verifier is none
    forFetch(async () => await Promise.resolve(closed));
  });

  it('is what authorize() is asked about, null included', () => {
    forFetch(typed, { authorize: ({ claims }) => claims.plan === 'pro' });
    // @ts-expect-error -- a caller without a key has no tenant
    forFetch(closed, { optional: true, authorize: ({ tenant }) => tenant === 'eu' });
  });
});

describe('onDenied', () => {
  it('may return nothing', () => {
    forFetch(closed, { onDenied: () => undefined });
    forFetch(closed, { onDenied: ({ reason }) => console.log(reason) });
    forFetch(closed, {
      onDenied: async () => {
        await Promise.resolve();
      },
    });
  });

  it('may return what differs, and nothing else', () => {
    forFetch(closed, { onDenied: ({ status }) => ({ status: status + 1 }) });
    forFetch(closed, { onDenied: ({ reason }) => (reason === 'revoked' ? { body: 'No.' } : undefined) });
    // @ts-expect-error -- a status is a number
    forFetch(closed, { onDenied: () => ({ status: '404' }) });
  });
});

describe('a guard for an unknown framework', () => {
  it('decides at once or later, with the identity of the verifier', () => {
    type Decided<Identity> = Decision<Identity> | Promise<Decision<Identity>>;
    const request = { header: () => [], url: '/' };
    expectTypeOf(createGuard(typed)(request)).toEqualTypeOf<Decided<Verified<Plan>>>();
    expectTypeOf(createGuard(() => open)(request)).toEqualTypeOf<Decided<Verified | null>>();
  });
});

describe('a handler of node:http', () => {
  it('may return anything, such as the response', () => {
    createServer(forNode(closed, (_, response: ServerResponse, { client }) => response.end(client)));
    createServer(forNode(closed, async () => await Promise.resolve(1)));
  });

  it('gets the request and the response of node:http without saying so', () => {
    const listener = forNode(closed, (request, response) => {
      expectTypeOf(request).toEqualTypeOf<IncomingMessage>();
      expectTypeOf(response).toEqualTypeOf<ServerResponse>();
    });
    createServer(listener);
    createServer(forNode(closed, (request, response) => request.pipe(response.writeHead(200))));
  });

  it('may take those of HTTP/2', () => {
    const handler = (request: Http2ServerRequest, response: Http2ServerResponse) => request.stream.pipe(response);
    createSecureServer(forNode(closed, handler));
  });
});

describe('on the request of a framework', () => {
  it('is typed by the guard in the chain of Express 5 and 4', () => {
    express().get('/:id', forExpress.apiKeyAuth(typed), (req, res) => {
      expectTypeOf(res.locals.identity).toEqualTypeOf<Verified<Plan>>();
      expectTypeOf(req.params.id).toEqualTypeOf<string>();
    });
    express().get('/', forExpress.apiKeyAuth(open), (_, res) => {
      expectTypeOf(res.locals.identity).toEqualTypeOf<Verified | null>();
    });
    express4().get('/', forExpress.apiKeyAuth(closed), (_, res) => {
      expectTypeOf(res.locals.identity).toEqualTypeOf<Verified>();
    });
  });

  it('is told by the guard of Express, wherever that was mounted', () => {
    const auth = forExpress.apiKeyAuth(typed);
    express()
      .use(auth)
      .get('/', (req) => {
        expectTypeOf(auth.identityOf(req)).toEqualTypeOf<Verified<Plan>>();
      });
    expectTypeOf(forExpress.apiKeyAuth(closed, { optional: true }).identityOf({})).toEqualTypeOf<Verified | null>();
  });

  it('is typed by the configuration of a route of Fastify', () => {
    const app = Fastify();
    void app.register(forFastify, { verifier: closed });
    app.get('/', (request) => {
      expectTypeOf(request.identity).toEqualTypeOf<Verified>();
    });
    app.get('/', { config: { keyverify: { maxAgeMs: 0 } } }, (request) => {
      expectTypeOf(request.identity).toEqualTypeOf<Verified>();
    });
    app.get('/', { config: { keyverify: { optional: true } } }, (request) => {
      expectTypeOf(request.identity).toEqualTypeOf<Verified | null>();
    });
    app.get('/', { config: { keyverify: { failOpen: true } } }, (request) => {
      expectTypeOf(request.identity).toEqualTypeOf<Verified | null>();
    });
  });

  it('can be null in Fastify only where a route says so', () => {
    void Fastify().register(forFastify, { verifier: open, failOpen: false });
    void Fastify().register(forFastify, { verifier: () => closed });
    // @ts-expect-error -- no handler would know that there may be nobody
    void Fastify().register(forFastify, { verifier: () => open });
    // @ts-expect-error -- no handler would know that there may be nobody
    void Fastify().register(forFastify, { verifier: open });
    // @ts-expect-error -- the same
    void Fastify().register(forFastify, { verifier: {} as Verifier });
    // @ts-expect-error -- the same
    void Fastify().register(forFastify, { verifier: closed, optional: true });
  });

  it('is typed by the middleware of Hono', () => {
    new Hono().get('/', forHono(closed), (c) => {
      expectTypeOf(c.var.identity).toEqualTypeOf<Verified>();
      return c.body(null);
    });
    new Hono().use(forHono(closed, { optional: true })).get('/', (c) => {
      expectTypeOf(c.var.identity).toEqualTypeOf<Verified | null>();
      return c.body(null);
    });
  });

  it('is typed by the middleware of Koa', () => {
    new Koa().use(forKoa(closed)).use((ctx) => {
      expectTypeOf(ctx.state.identity).toEqualTypeOf<Verified>();
    });
    new Koa().use(forKoa(open)).use((ctx) => {
      expectTypeOf(ctx.state.identity).toEqualTypeOf<Verified | null>();
    });
  });
});

describe('a handler of Lambda', () => {
  const { protect } = forLambda(closed);
  const event: LambdaEvent = { headers: {} };
  const context = { awsRequestId: 'id' };

  it('may leave out the context, which Lambda passes all the same', () => {
    const handler = protect((_event, identity) => identity.tenant);
    expectTypeOf(handler(event)).toEqualTypeOf<Promise<string | LambdaResponse>>();
    expectTypeOf(handler(event, context)).toEqualTypeOf<Promise<string | LambdaResponse>>();
  });

  it('gets what it takes of it', () => {
    const handler = protect((_event, identity, { awsRequestId }: typeof context) => identity.client + awsRequestId);
    expectTypeOf(handler(event, context, () => undefined)).toEqualTypeOf<Promise<string | LambdaResponse>>();
    // @ts-expect-error -- the handler takes a context
    void handler(event);
    // @ts-expect-error -- this is none
    void handler(event, 'context');
  });
});
