import express from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import { Hono } from 'hono';
import type { KeyVerifier, Verified, Verifier } from 'keyverify';
import * as forExpress from 'keyverify/express';
import { keyverify as forFastify } from 'keyverify/fastify';
import { type Keyverify, keyverify as forFetch } from 'keyverify/fetch';
import { keyverify as forHono } from 'keyverify/hono';
import { keyverify as forKoa } from 'keyverify/koa';
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
const identityFor = <Identity>(door: Keyverify<Identity>) => {
  expectTypeOf(door).not.toBeAny();
  return expectTypeOf<Identity>();
};

describe('the identity', () => {
  it('is there wherever the verifier fails closed', () => {
    identityFor(forFetch(closed)).toEqualTypeOf<Verified>();
    identityFor(forFetch(closed, { maxAgeMs: 0, allow: ({ tenant }) => tenant === 'eu' })).toEqualTypeOf<Verified>();
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

  it('follows whatever stands in for a verifier', () => {
    const verify = async (): Promise<Verified> => await Promise.reject(new Error('never called'));
    identityFor(forFetch({ verify })).toEqualTypeOf<Verified>();
    identityFor(forFetch(stubVerifier())).toEqualTypeOf<Verified>();
    identityFor(forFetch(stubVerifier({ failOpen: true }))).toEqualTypeOf<Verified | null>();
    identityFor(forFetch({} as Verifier)).toEqualTypeOf<Verified | null>();
    identityFor(forFetch({} as Verifier<false>)).toEqualTypeOf<Verified>();
  });

  it('is what allow() is asked about, null included', () => {
    forFetch(typed, { allow: ({ claims }) => claims.plan === 'pro' });
    // @ts-expect-error -- a caller without a key has no tenant
    forFetch(closed, { optional: true, allow: ({ tenant }) => tenant === 'eu' });
  });
});

describe('on the request of a framework', () => {
  it('is typed by the guard in the chain of Express 5 and 4', () => {
    express().get('/:id', forExpress.keyverify(typed), (req, res) => {
      expectTypeOf(req.identity).toEqualTypeOf<Verified<Plan>>();
      expectTypeOf(res.locals.identity).toEqualTypeOf<Verified<Plan>>();
      expectTypeOf(req.params.id).toEqualTypeOf<string>();
    });
    express().get('/', forExpress.keyverify(open), (req) => {
      expectTypeOf(req.identity).toEqualTypeOf<Verified | null>();
    });
    express4().get('/', forExpress.keyverify(closed), (req) => {
      expectTypeOf(req.identity).toEqualTypeOf<Verified>();
    });
  });

  it('is not taken for granted where no guard is in sight', () => {
    const app = express().use(forExpress.keyverify(closed));
    app.get('/', (req) => {
      expectTypeOf(req.identity).toEqualTypeOf<Verified | null | undefined>();
    });
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
