import type { DefaultClaims, Verified, VerifyResult } from '../result.js';
import type { VerifyOptions } from '../verify-options.js';
import { type KeyCarrier, type KeyFound, readKey } from './key.js';
import { checkGuardOptions, checkRouteOptions } from './options.js';
import type { AnyVerifier, ClaimsOf, DenialContext, DenialShape, FailOpenBy } from './options.js';
import type { GuardOptions, IdentityOf, RouteOptions } from './options.js';
import { type Denial, describe, headersOf, type Refusal, refuse } from './problem.js';

/** A request as a guard sees it. */
export interface GuardedRequest extends KeyCarrier {
  /** Aborted when the caller leaves. The question goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /** See `VerifyOptions`. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** Whether a request may go on. */
export type Decision<Identity> =
  { readonly allowed: true; readonly identity: Identity } | { readonly allowed: false; readonly denial: Denial };

/** Decides about a request. It never rejects: whatever throws on the way is a denial, a mistake in `route` as well. */
export type Guard<Identity> = (request: GuardedRequest, route?: RouteOptions) => Promise<Decision<Identity>>;

/** A verifier as seen from within, where nobody looks at claims. */
export interface DefaultVerifier {
  verify(key: string, options: VerifyOptions): Promise<VerifyResult<DefaultClaims, boolean>>;
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

async function judge(
  verifier: DefaultVerifier,
  { optional = false, failOpen, maxAgeMs, allow }: RouteOptions,
  request: GuardedRequest,
  found: KeyFound,
): Promise<Judgement> {
  if ('ambiguous' in found) return no({ problem: 'ambiguous-key', reason: 'ambiguous_key' });
  let identity: Verified | null = null;
  if (found.key !== null) {
    const { signal, waitUntil } = request;
    const result = await verifier.verify(found.key, { signal, waitUntil, maxAgeMs, failOpen });
    if (!result.valid) return no(refuse(result, found.key), { result });
    if (result.source !== 'fail-open') identity = result;
  } else if (!optional) return no({ problem: 'missing-key', reason: 'missing_key' });
  const allowed: unknown = allow === undefined || (await allow(identity));
  return allowed === true ? { allowed: true, identity } : no({ problem: 'forbidden', reason: 'not_allowed' });
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

  const decide = async (request: GuardedRequest, found: KeyFound, route?: RouteOptions): Promise<Judgement> => {
    if (route === undefined) return await judge(verifier, options, request, found);
    checkRouteOptions(route);
    return await judge(verifier, { ...options, ...route }, request, found);
  };

  return async (request, route) => {
    let requestId: string | undefined;
    try {
      const found = readKey(request, keyFrom);
      requestId = requestIdOf(request, found);
      const judgement = await decide(request, found, route).catch((error: unknown) => no(INTERNAL, { error }));
      if (judgement.allowed) return judgement;
      const { refusal, context } = judgement;
      const shape = await onDenied?.(describe(refusal, requestId), context);
      return { allowed: false, denial: write(refusal, realm, requestId, shape) };
    } catch {
      return { allowed: false, denial: write(INTERNAL, realm, requestId ?? crypto.randomUUID()) };
    }
  };
}
