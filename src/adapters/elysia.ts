/** `keyverify/elysia`: a plugin that sets `identity` in the context of the routes behind it. */
import { Elysia } from 'elysia';

import { InvalidOptionsError } from '../core/errors.js';
import { fieldOf, isFunction, isObject } from '../core/schema.js';
import type { Decision } from '../guard/decision.js';
import { fromRequest, toResponse } from '../guard/fetch.js';
import { createGuard } from '../guard/guard.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Elysia answers with the response of what is thrown, if it has one; `@elysiajs/node` doesn't if that is an `Error`. */
class Denied {
  readonly name = 'Denied';
  readonly message: string;
  readonly #response: Response;

  constructor(reason: string, response: Response) {
    this.message = reason;
    this.#response = response;
  }

  toResponse(): Response {
    return this.#response;
  }
}

type Authenticate = (request: Request) => Promise<Decision<unknown>>;

/** A plain value as a function: Elysia compiles a value without any hook if its route has hooks of all four kinds. */
const toHandler = (handler: unknown): unknown =>
  isFunction(handler)
    ? handler
    : async () => {
        const value = await handler;
        return value instanceof Response ? value.clone() : value;
      };

/** Elysia understands `'none'` only where it is the only parser, and the plugin adds one. */
const toParser = (parser: unknown): unknown =>
  parser === 'none' || fieldOf(parser, 'fn') === 'none' ? () => null : parser;

/** With `aot: false`, Elysia calls a mounted handler before any hook. */
function toConfig(config: unknown, authenticate: Authenticate): unknown {
  const mounted = fieldOf(config, 'mount');
  if (!isObject(config) || !isFunction(mounted)) return config;
  const mount = async (request: Request): Promise<unknown> => {
    const { allowed, denial } = await authenticate(request);
    const answer: unknown = allowed ? Reflect.apply(mounted, config, [request]) : toResponse(denial, request);
    return await answer;
  };
  return { ...config, mount };
}

const toHook = (hook: unknown, authenticate: Authenticate): object => ({
  ...(isObject(hook) && hook),
  parse: [fieldOf(hook, 'parse') ?? []].flat().map(toParser),
  config: toConfig(fieldOf(hook, 'config'), authenticate),
});

/**
 * Guards the routes that Elysia would serve without calling their hooks. `add()` is private, but every route passes through
 * it, including those of groups, of nested instances and of plugins that load late.
 */
function guardRoutes(app: Elysia, authenticate: Authenticate): void {
  const add: unknown = Reflect.get(app, 'add');
  if (!isFunction(add)) throw new InvalidOptionsError(['app: expected an instance of Elysia 1']);
  const guarded = (method: unknown, path: unknown, handler: unknown, hook: unknown, ...rest: unknown[]): unknown =>
    Reflect.apply(add, app, [method, path, toHandler(handler), toHook(hook, authenticate), ...rest]);
  // It passes hooks on to the app around an instance, but not what is done here.
  const as = (): never => {
    throw new InvalidOptionsError([
      'as(): it would move only a part of the guard: use apiKeyAuth() in each instance to be guarded',
    ]);
  };
  Object.assign(app, { add: guarded, as });
}

/**
 * A plugin that admits only requests with a valid key, to the routes added after it in the same instance. It denies before a
 * body is parsed. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * new Elysia()
 *   .use(apiKeyAuth(verifier))
 *   .get('/orders', ({ identity }) => ({ tenant: identity.tenant }))
 *   .listen(3000);
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(verifier: VerifierSource<V>, options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>) {
  const guard = createGuard(verifier, options);
  type Identity = IdentityOf<ClaimsOf<V>, FailOpen, Optional>;
  const authenticate = async (request: Request) => await guard(fromRequest(request));
  const decisions = new WeakMap<Request, Decision<Identity>>();
  // A body is parsed before anything is derived, but what is thrown there is a 400. So this only keeps it from being read.
  const plugin = new Elysia()
    .onParse({ as: 'scoped' }, async ({ request }) => {
      const decision = await authenticate(request);
      decisions.set(request, decision);
      return decision.allowed ? undefined : 'not read';
    })
    .derive({ as: 'scoped' }, async ({ request }) => {
      const decision = await (decisions.get(request) ?? authenticate(request));
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- see there
      if (!decision.allowed) throw new Denied(decision.denial.reason, toResponse(decision.denial, request));
      const { identity }: { identity: Identity } = decision;
      return { identity };
    });
  return (app: Elysia) => {
    guardRoutes(app, authenticate);
    // Not added by the app itself: if it has a name, Elysia takes the hooks of a second guard in a group for the first one's.
    return app.use(plugin);
  };
}
