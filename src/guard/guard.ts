import type { DefaultClaims, Rejected, Verified, VerifyResult } from '../core/result.js';
import type { VerifyOptions } from '../options/verify-options.js';
import { type KeyCarrier, type KeyFound, readKey } from './key-sources.js';
import { checkGuardOptions, checkRouteOptions } from './options.js';
import type { AnyVerifier, ClaimsOf, DenialContext, DenialShape, FailOpenBy } from './options.js';
import type { GuardOptions, IdentityOf, RouteOptions } from './options.js';
import { type Denial, describe, headersOf, type Refusal, refuse } from './problem.js';

/** A request as a guard sees it. */
export interface GuardedRequest extends KeyCarrier {
  /** Aborted when the caller leaves. The question goes on for the others. Called where there is a wait, and once. */
  readonly signal?: (() => AbortSignal) | undefined;
  /** See `VerifyOptions`. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** Whether a request may go on. */
export type Decision<Identity> =
  { readonly allowed: true; readonly identity: Identity } | { readonly allowed: false; readonly denial: Denial };

/** What is there at once is not made to wait: a promise costs a service more than a cached verdict does. */
type MaybePromise<T> = T | Promise<T>;

/** Decides about a request. It never rejects: whatever throws on the way is a denial, a mistake in `route` as well. */
export type Guard<Identity> = (request: GuardedRequest, route?: RouteOptions) => MaybePromise<Decision<Identity>>;

/** Goes on with a decision, at once if it is there. */
export function proceed<Identity>(
  decision: MaybePromise<Decision<Identity>>,
  next: (decision: Decision<Identity>) => unknown,
): void {
  if (decision instanceof Promise) void decision.then(next);
  else next(decision);
}

/** A verifier as seen from within, where nobody looks at claims. */
export interface DefaultVerifier {
  verify(key: string, options: VerifyOptions): Promise<VerifyResult<DefaultClaims, boolean>>;
  verifyCached?(key: string, options: VerifyOptions): Verified | Rejected | undefined;
}

type Judgement =
  | { readonly allowed: true; readonly identity: Verified | null }
  | { readonly allowed: false; readonly refusal: Refusal; readonly context: DenialContext };

const INTERNAL: Refusal = { problem: 'internal', reason: 'internal_error' };
const REQUEST_ID = /^[\w.:-]{1,128}$/;
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[ -~]*$/;

function no(refusal: Refusal, context: DenialContext = {}): Judgement {
  return { allowed: false, refusal, context };
}

/** The caller's own id is echoed only if it is one: not a way to write headers, and not the key come back. */
function requestIdOf(request: GuardedRequest, found: KeyFound): string {
  const [id, second] = request.header('x-request-id');
  const own = id !== undefined && second === undefined && REQUEST_ID.test(id) ? id : null;
  const clean = 'key' in found && own !== null && (found.key === null || !own.includes(found.key));
  return clean ? own : crypto.randomUUID();
}

function write(refusal: Refusal, realm: string, requestId: string, shape: DenialShape = {}): Denial {
  const problem = describe(refusal, requestId);
  const { status = problem.status, headers = {}, body = problem } = shape;
  if (!Number.isInteger(status) || status < 400 || status > 599) throw new RangeError('not the status of a denial');
  const all = headersOf(refusal, realm);
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) throw new TypeError('not a header');
    all[name.toLowerCase()] = value;
  }
  all['cache-control'] = 'no-store';
  all['x-request-id'] = requestId;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, headers: all, body: text, content: body, reason: problem.reason };
}

function admit(identity: Verified | null, { allow }: RouteOptions): MaybePromise<Judgement> {
  if (allow === undefined) return { allowed: true, identity };
  const judge = (allowed: unknown): Judgement =>
    allowed === true ? { allowed, identity } : no({ problem: 'forbidden', reason: 'not_allowed' });
  return Promise.resolve(allow(identity)).then(judge);
}

function judge(
  verifier: DefaultVerifier,
  options: RouteOptions,
  { signal, waitUntil }: GuardedRequest,
  found: KeyFound,
): MaybePromise<Judgement> {
  if ('ambiguous' in found) return no({ problem: 'ambiguous-key', reason: 'ambiguous_key' });
  const { optional = false, failOpen, maxAgeMs } = options;
  const { key } = found;
  if (key === null) return optional ? admit(null, options) : no({ problem: 'missing-key', reason: 'missing_key' });
  const known = verifier.verifyCached?.(key, { waitUntil, maxAgeMs, failOpen });
  if (known !== undefined) return weigh(known, key, options);
  const asked = verifier.verify(key, { signal: signal?.(), waitUntil, maxAgeMs, failOpen });
  return asked.then((result) => weigh(result, key, options));
}

function weigh(
  result: VerifyResult<DefaultClaims, boolean>,
  key: string,
  options: RouteOptions,
): MaybePromise<Judgement> {
  if (!result.valid) return no(refuse(result, key), { result });
  return admit(result.source === 'fail-open' ? null : result, options);
}

/**
 * What every adapter is made of: reads the key, asks the verifier and denies by the table.
 * Throws `InvalidOptionsError` for options that don't say what they mean.
 */
export function createGuard<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Guard<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>;
export function createGuard(verifier: DefaultVerifier, options: GuardOptions = {}): Guard<Verified | null> {
  checkGuardOptions(options);
  const { realm = 'api', keyFrom, onDenied } = options;
  const merged = new WeakMap<RouteOptions, RouteOptions>();

  const optionsFor = (route: RouteOptions): RouteOptions => {
    const known = merged.get(route);
    if (known !== undefined) return known;
    checkRouteOptions(route);
    const both = { ...options, ...route };
    merged.set(route, both);
    return both;
  };

  const conclude = async (
    judging: MaybePromise<Judgement>,
    request: GuardedRequest,
    found: KeyFound,
  ): Promise<Decision<Verified | null>> => {
    let requestId: string | undefined;
    try {
      const judgement = await Promise.resolve(judging).catch((error: unknown) => no(INTERNAL, { error }));
      if (judgement.allowed) return judgement;
      const { refusal, context } = judgement;
      requestId = requestIdOf(request, found);
      const shape = await onDenied?.(describe(refusal, requestId), context);
      return { allowed: false, denial: write(refusal, realm, requestId, shape) };
    } catch {
      return { allowed: false, denial: write(INTERNAL, realm, requestId ?? crypto.randomUUID()) };
    }
  };

  return (request, route) => {
    let found: KeyFound = { ambiguous: true };
    let judging: MaybePromise<Judgement>;
    try {
      found = readKey(request, keyFrom);
      judging = judge(verifier, route === undefined ? options : optionsFor(route), request, found);
    } catch (error) {
      judging = no(INTERNAL, { error });
    }
    return 'allowed' in judging && judging.allowed ? judging : conclude(judging, request, found);
  };
}
