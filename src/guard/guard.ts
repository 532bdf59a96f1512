import { lazy } from '../core/lazy.js';
import { isFailedOpen, isVerified, type Verified } from '../core/result.js';
import { fieldOf } from '../core/schema.js';
import type { Decision, Guard } from './decision.js';
import { type DenialContext, denialTypeOf, type DenialType, headersOf } from './denial.js';
import { problemDetails, reasonOf, requestIdOf, toDenial } from './denial.js';
import { howToSend, type KeyFound, readKey } from './key-sources.js';
import { GuardLog, type Part } from './log.js';
import { checkGuardOptions, checkRouteOptions, checkVerifier, settingsOf } from './options.js';
import type { GuardOptions, IdentityOf, RouteOptions, RouteSettings } from './options.js';
import type { GuardRequest } from './request.js';
import { type AnyVerifier, ask, type ClaimsOf, type DefaultVerifier, type FailOpenBy } from './verifier.js';
import type { VerifierSource } from './verifier.js';

/**
 * What every adapter is made of, for frameworks without one. A guard reads the key of a request, asks the verifier and
 * denies by one table. Throws `InvalidOptionsError`, which names every mistake in the options.
 *
 * @example Hapi
 * ```ts
 * const guard = createGuard(verifier);
 *
 * server.ext('onPreAuth', async (request, h) => {
 *   const decision = await guard({
 *     header: (name) => [request.headers[name] ?? []].flat(),
 *     url: request.url.search,
 *   });
 *   if (!decision.allowed) {
 *     const { status, headers, body } = decision.denial;
 *     const response = h.response(body).code(status).takeover();
 *     for (const [name, value] of Object.entries(headers)) response.header(name, value);
 *     return response;
 *   }
 *   request.app.identity = decision.identity;
 *   return h.continue;
 * });
 * ```
 */
export function createGuard<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Guard<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>;
export function createGuard(
  source: VerifierSource<DefaultVerifier>,
  options: GuardOptions = {},
): Guard<Verified | null> {
  checkGuardOptions(source, options);
  const { realm = 'api', keySources, onDenied } = options;
  const log = new GuardLog();
  const verifierOf = lazy(() => (log.verifier = typeof source === 'function' ? checkVerifier(source()) : source));
  if (typeof source !== 'function') verifierOf();
  const own = settingsOf(options, {});
  const merged = new WeakMap<RouteOptions, RouteSettings>();

  const optionsFor = (route: RouteOptions): RouteSettings => {
    const known = merged.get(route);
    if (known !== undefined) return known;
    checkRouteOptions(route);
    const both = settingsOf(route, own);
    merged.set(route, both);
    return both;
  };

  const deny = async (
    request: GuardRequest,
    found: KeyFound,
    type: DenialType,
    context: DenialContext = {},
    reason?: string,
  ): Promise<Decision<Verified | null>> => {
    let requestId: string | undefined;
    try {
      requestId = requestIdOf(request, found);
      // The key may have come in another place, or without its scheme.
      const detail = type === 'missing-key' ? howToSend(keySources) : undefined;
      const problem = problemDetails(type, requestId, reason, detail);
      const returned = type === 'aborted' ? undefined : await onDenied?.(problem, context);
      const overrides = log.overridesOf(returned, found, request);
      return { allowed: false, denial: toDenial(problem, headersOf(type, realm, context.result), overrides) };
    } catch (error) {
      log.threw(requestId === undefined ? 'request' : 'onDenied', error, found, request);
      const problem = problemDetails('internal', requestId ?? crypto.randomUUID());
      return { allowed: false, denial: toDenial(problem, headersOf('internal', realm, undefined)) };
    }
  };

  const fail = async (request: GuardRequest, found: KeyFound, part: Part, error: unknown) => {
    log.threw(part, error, found, request);
    return await deny(request, found, 'internal', { error });
  };

  const authenticate = async (
    request: GuardRequest,
    found: KeyFound,
    { optional, authorize }: RouteSettings,
    asked: ReturnType<typeof ask> | undefined,
  ): Promise<Decision<Verified | null>> => {
    let part: Part = 'verify';
    try {
      if ('ambiguous' in found) return await deny(request, found, 'ambiguous-key');
      let identity: Verified | null = null;
      if (found.key !== null) {
        const result = await asked;
        if (result === undefined) throw new TypeError('keyverify: the verifier gave no result');
        if (isVerified(result)) identity = result;
        else if (!isFailedOpen(result))
          return await deny(request, found, denialTypeOf(result), { result }, reasonOf(result, found.key));
      } else if (optional !== true) return await deny(request, found, 'missing-key');
      part = 'authorize';
      const authorized: unknown = authorize === undefined || (await authorize(identity));
      log.checkAuthorized(authorized, found, request);
      return authorized === true ? { allowed: true, identity } : await deny(request, found, 'forbidden');
    } catch (error) {
      // A caller who has left needs no answer, and nobody an alarm.
      if (hasLeft(request)) return await deny(request, found, 'aborted');
      return await fail(request, found, part, error);
    }
  };

  return (request, route) => {
    let found: KeyFound = { ambiguous: true };
    let part: Part = 'request';
    try {
      found = readKey(request, keySources);
      part = 'route';
      const settings = route === undefined ? own : optionsFor(route);
      const key = 'key' in found ? found.key : null;
      part = 'source';
      const verifier = key === null ? undefined : verifierOf();
      part = 'verify';
      const asked = key === null || verifier === undefined ? undefined : ask(verifier, key, settings, request);
      if (asked === undefined || asked instanceof Promise || !isVerified(asked) || settings.authorize !== undefined)
        return authenticate(request, found, settings, asked);
      return { allowed: true, identity: asked };
    } catch (error) {
      return fail(request, found, part, error);
    }
  };
}

/** The request may be the caller's own, and its signal may throw or be none. */
function hasLeft(request: GuardRequest): boolean {
  try {
    return fieldOf(request.signal?.(), 'aborted') === true;
  } catch {
    return false;
  }
}
