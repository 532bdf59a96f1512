/** `keyverify/fastify`: a plugin that guards the scope it is registered in, and those inside it. */
import type { FastifyInstance } from 'fastify';

import { createGuard, proceed, type DefaultVerifier } from '../guard/guard.js';
import { guardNode } from '../guard/node.js';
import type { ClosedVerifier, GuardOptions, RouteOptions } from '../guard/options.js';
import type { DefaultClaims, Verified } from '../core/result.js';

export type { DenialContext, DenialShape, RouteOptions } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/**
 * The options of the plugin. A route that may be called without an identity says so in its own `config`, where the
 * compiler sees it: `{ config: { keyverify: { optional: true } } }`. So a verifier that fails open needs
 * `failOpen: false` here.
 */
export type KeyVerifyOptions = GuardOptions<DefaultClaims, false, false> &
  (
    | { readonly verifier: DefaultVerifier & ClosedVerifier }
    | { readonly verifier: DefaultVerifier; readonly failOpen: false }
  );

type Nullable<Options> = Options extends { readonly optional: true } | { readonly failOpen: true } ? null : never;

/** `null` is in it where the route's own `config` allows a call without an identity. */
type IdentityIn<Request> = Request extends {
  readonly routeOptions: { readonly config: { readonly keyverify: infer O } };
}
  ? Verified | Nullable<O>
  : Verified;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling. */
    identity: IdentityIn<this>;
  }
  interface FastifyContextConfig {
    /** What is different for this route. */
    keyverify?: RouteOptions;
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- bad options have to reject, a throw would end the process
const plugin = async (app: FastifyInstance, { verifier, ...options }: KeyVerifyOptions): Promise<void> => {
  const guard = createGuard<DefaultVerifier, false>(verifier, options);
  if (!app.hasRequestDecorator('identity')) app.decorateRequest('identity');
  app.addHook('onRequest', (request, reply, done) => {
    proceed(guardNode(guard, request.raw, reply.raw, request.routeOptions.config.keyverify), (decision) => {
      if (decision.allowed) {
        Object.assign(request, { identity: decision.identity });
        done();
        return;
      }
      const { status, headers, body } = decision.denial;
      void reply.code(status).headers(headers).send(body);
    });
  });
};

/** `app.register(keyverify, { verifier })`: every route of this scope needs a good key, those of scopes beside it don't. */
export const keyverify = Object.assign(plugin, {
  // A plugin has a scope of its own unless it says otherwise; this one is for the scope it is registered in.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'keyverify',
});
