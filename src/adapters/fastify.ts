/** `keyverify/fastify`: a plugin that guards the scope it is registered in, and the scopes inside it. */
import type { FastifyInstance } from 'fastify';

import { InvalidOptionsError } from '../core/errors.js';
import { isNear } from '../core/messages.js';
import type { DefaultClaims, Verified } from '../core/result.js';
import { fieldOf, isFunction } from '../core/schema.js';
import { proceed } from '../guard/decision.js';
import { createGuard } from '../guard/guard.js';
import { Identities } from '../guard/identities.js';
import { guardNode } from '../guard/node.js';
import { routeIssues, type GuardOptions, type RouteOptions } from '../guard/options.js';
import type { ClosedVerifier, DefaultVerifier, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { RouteOptions } from '../guard/options.js';
export type { ClosedVerifier, DefaultVerifier, VerifierSource } from '../guard/verifier.js';

/**
 * The options of the plugin: those of a guard, and the verifier. `optional: true` and `failOpen: true` belong in the `config`
 * of a route, where the compiler sees that the identity may be `null`. So a verifier that fails open needs
 * `failOpen: false` here.
 */
export type ApiKeyAuthOptions = GuardOptions<DefaultClaims, false, false> &
  (
    | { readonly verifier: VerifierSource<DefaultVerifier & ClosedVerifier> }
    | { readonly verifier: VerifierSource<DefaultVerifier>; readonly failOpen: false }
  );

type Nullable<Options> = Options extends { readonly optional: true } | { readonly failOpen: true } ? null : never;

type IdentityIn<Request> = Request extends {
  readonly routeOptions: { readonly config: { readonly keyverify: infer O } };
}
  ? Verified | Nullable<O>
  : Verified;

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's identity. `null` is in the type if the route's `config` has `optional: true` or `failOpen: true`. */
    identity: IdentityIn<this>;
  }
  interface FastifyContextConfig {
    /** The options that differ for this route. */
    keyverify?: RouteOptions;
  }
}

const identities = new Identities<unknown>();
const DECORATED = Symbol.for('keyverify.fastify');

/** The name of our options in the `config` of a route. */
const NAME = 'keyverify';

/** A name that can only be meant for ours. Not `verify`, which may be another plugin's. */
const isMisspelled = (name: string): boolean =>
  name !== NAME && (name.toLowerCase().startsWith(NAME) || (isNear(name, NAME) && !NAME.endsWith(name.toLowerCase())));
const misspelledIn = (config: object): string | undefined => Object.keys(config).find(isMisspelled);

/** Throws for what would leave a route guarded otherwise than it reads. */
function checkRoute(route: Route): void {
  const issues = issuesOf(route);
  if (issues.length === 0) return;
  const place = `${[route.method].flat().join(', ')} ${route.url}`;
  throw new InvalidOptionsError(issues.map((issue) => `${place}: ${issue}`));
}

interface Route {
  readonly method: string | string[];
  readonly url: string;
  readonly config?: { readonly keyverify?: unknown } | undefined;
}

function issuesOf(route: Route): readonly string[] {
  const config = route.config ?? {};
  const wrong = misspelledIn(config);
  if (wrong !== undefined) return [`config.${wrong}: did you mean ${NAME}?`];
  const outside = Object.keys(route).find((name) => name === NAME || isMisspelled(name));
  if (outside !== undefined) return [`${outside}: did you mean config.${NAME}?`];
  if (config.keyverify === undefined) return [];
  return routeIssues(config.keyverify).map((issue) =>
    `config.${NAME}.${issue}`.replace('.options: expected', ': expected'),
  );
}

/** The `config` of routes in which nothing is misspelled. */
const checked = new WeakSet<object>();

/** What differs for a route. One that was added before the plugin was loaded has not been checked: the guard denies it. */
function optionsOf(config: { readonly keyverify?: RouteOptions }): RouteOptions | undefined {
  if (checked.has(config)) return config.keyverify;
  const wrong = misspelledIn(config);
  if (wrong !== undefined) return { [`config.${wrong}`]: undefined };
  checked.add(config);
  return config.keyverify;
}

/** Fastify passes its own options on to a plugin. They have no effect on this one. */
type RegisterOptions = Readonly<Record<'prefix' | 'logLevel' | 'logSerializers', unknown>>;

// eslint-disable-next-line @typescript-eslint/require-await -- bad options have to reject, a throw would end the process
const load = async (app: FastifyInstance, given: ApiKeyAuthOptions & Partial<RegisterOptions>): Promise<void> => {
  if (isFunction(fieldOf(given, 'verify')))
    throw new InvalidOptionsError(['verifier: got it in place of the options: write { verifier }']);
  const { verifier, prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...options } = given;
  const guard = createGuard<DefaultVerifier, false>(verifier, options);
  if (!app.hasDecorator(DECORATED)) {
    app.decorate(DECORATED, true);
    // A getter, so that nothing but a guard sets it.
    app.decorateRequest<unknown, string>('identity', {
      getter() {
        return identities.get(this);
      },
    });
  }
  app.addHook('onRoute', checkRoute);
  app.addHook('onRequest', (request, reply, done) => {
    const { raw, headers, id, routeOptions } = request;
    const read = { headers, rawHeaders: raw.rawHeaders, url: raw.url, id };
    proceed(guardNode(guard, read, reply.raw, optionsOf(routeOptions.config)), (decision) => {
      if (decision.allowed) {
        identities.admit(request, decision);
        done();
        return;
      }
      const { status, headers, body } = decision.denial;
      void reply.code(status).headers(headers).send(body);
    });
  });
};

/** Every other adapter is called with the verifier. */
const plugin = (app: FastifyInstance, options: ApiKeyAuthOptions): Promise<void> => {
  if (!isFunction(fieldOf(app, 'addHook'))) throw new InvalidOptionsError([USE]);
  return load(app, options);
};

const USE = 'use app.register(apiKeyAuth, { verifier }), apiKeyAuth is the plugin itself';

/**
 * A plugin that admits only requests with a valid key to the routes of the scope it is registered in, and of the scopes
 * inside it. It sets `request.identity`. Registering rejects with `InvalidOptionsError` for wrong options. Once the plugin is
 * loaded, adding a route with wrong options throws it.
 *
 * @example
 * ```ts
 * await app.register(apiKeyAuth, { verifier });
 *
 * app.get('/orders', (request) => ({ tenant: request.identity.tenant }));
 * app.get('/catalog', { config: { keyverify: { optional: true } } }, (request) => ({
 *   tenant: request.identity?.tenant ?? null,
 * }));
 * ```
 */
export const apiKeyAuth = Object.assign(plugin, {
  // A plugin gets a scope of its own unless it sets this; this one is for the scope it is registered in.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'keyverify',
});
