/** `keyverify/lambda`: for AWS Lambda behind a function URL, API Gateway or a load balancer, and for its authorizers. */
import { isObject } from '../core/schema.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
import { fromEvent, hasSeveralValues, type LambdaEvent, methodOf } from '../guard/lambda.js';
import { expectCall } from '../guard/misuse.js';
import { checkHandler, type GuardOptions, type IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';
export type { LambdaEvent } from '../guard/lambda.js';

/** A response in the form that API Gateway, function URLs and load balancers expect. */
export interface LambdaResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** For a load balancer that reads no other headers. */
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
}

/** The event of an authorizer: of a REST API (`TOKEN`, `REQUEST`), or of an HTTP API (version 1.0 or 2.0). */
export interface AuthorizerEvent extends LambdaEvent {
  readonly version?: string;
  /** Of a `TOKEN` authorizer: the value of the header that is its identity source. */
  readonly authorizationToken?: string;
  readonly methodArn?: string;
}

/** The caller's identity, as API Gateway passes it on in `event.requestContext.authorizer`. */
export type AuthorizerContext = Readonly<Record<'client' | 'tenant' | 'keyId', string>>;

/** The response of an authorizer: simple for version 2.0 of an HTTP API, else a policy. */
export type AuthorizerResult =
  | { readonly isAuthorized: boolean; readonly context: AuthorizerContext }
  | {
      readonly principalId: string;
      readonly policyDocument: {
        readonly Version: '2012-10-17';
        readonly Statement: readonly [
          { readonly Action: 'execute-api:Invoke'; readonly Effect: 'Allow' | 'Deny'; readonly Resource: string },
        ];
      };
      readonly context: AuthorizerContext;
    };

/** The two ways to guard with a Lambda function. */
export interface LambdaAuth<Identity> {
  /** Wraps a handler, which gets the event, the identity, and then what Lambda passes: the context, which it need not take. */
  readonly protect: <Event extends LambdaEvent, Result, Rest extends readonly unknown[]>(
    handler: (event: Event, identity: Identity, ...rest: Rest) => Result | Promise<Result>,
  ) => (event: Event, ...rest: [...Rest, ...unknown[]]) => Promise<Result | LambdaResponse>;
  /**
   * The handler of an authorizer. An invalid key is a 401, and a key that `authorize` or the scope denies a 403. Without a
   * verdict it throws, which API Gateway answers with 500: an authorizer can't answer 503. Switch off the cache of API
   * Gateway, or a revoked key works for that much longer.
   */
  readonly authorizer: (event: AuthorizerEvent) => Promise<AuthorizerResult>;
}

/** An event is plain data. What a server passes is of a class, or inherits from the app. */
function isEvent(event: unknown): boolean {
  const parent = isObject(event) ? Reflect.getPrototypeOf(event) : undefined;
  return parent === null || (parent !== undefined && Reflect.getPrototypeOf(parent) === null);
}

function toResult({ status, headers, body }: Denial, event: LambdaEvent): LambdaResponse {
  const several = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  return {
    statusCode: status,
    headers,
    ...(hasSeveralValues(event) && { multiValueHeaders: several }),
    body: methodOf(event) === 'HEAD' ? '' : body,
  };
}

function toAuthorizerResult(
  { version, methodArn = '*' }: AuthorizerEvent,
  isAuthorized: boolean,
  identity: { readonly client: string; readonly tenant: string; readonly keyId?: string } | null,
): AuthorizerResult {
  const { client = '', tenant = '', keyId = '' } = identity ?? {};
  const context = { client, tenant, keyId };
  if (version === '2.0') return { isAuthorized, context };
  const statement = {
    Action: 'execute-api:Invoke',
    Effect: isAuthorized ? 'Allow' : 'Deny',
    Resource: methodArn,
  } as const;
  return {
    principalId: client === '' ? 'unknown' : client,
    policyDocument: { Version: '2012-10-17', Statement: [statement] },
    context,
  };
}

/**
 * Guards Lambda functions: they run only for requests with a valid key. Throws `InvalidOptionsError` for wrong options.
 *
 * @example A function URL, or a route of API Gateway
 * ```ts
 * const { protect } = apiKeyAuth(verifier);
 *
 * export const handler = protect((event, identity) => ({ statusCode: 200, body: identity.tenant }));
 * ```
 *
 * @example An authorizer
 * ```ts
 * export const handler = apiKeyAuth(verifier).authorizer;
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): LambdaAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  return {
    protect<Event extends LambdaEvent, Result, Rest extends readonly unknown[]>(
      handler: (
        event: Event,
        identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional>,
        ...rest: Rest
      ) => Result | Promise<Result>,
    ) {
      checkHandler('handler', handler);
      return (event: Event, ...passed: [...Rest, ...unknown[]]): Promise<Result | LambdaResponse> => {
        // It begins with what the handler takes.
        // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
        const rest = passed as unknown as Rest;
        expectCall(isEvent(event), 'lambda', 'an event of Lambda');
        return Promise.resolve(guard(fromEvent(event))).then(async (decision) =>
          decision.allowed ? await handler(event, decision.identity, ...rest) : toResult(decision.denial, event),
        );
      };
    },
    async authorizer(event) {
      const { authorizationToken: token } = event;
      const read = fromEvent(event);
      const decision = await guard(
        token === undefined ? read : { ...read, header: (name) => (name === 'authorization' ? [token] : []) },
      );
      if (decision.allowed) return toAuthorizerResult(event, true, decision.identity);
      const { status, reason } = decision.denial;
      if (status === 403) return toAuthorizerResult(event, false, null);
      // API Gateway answers this very message with 401, and any other with 500.
      throw new Error(status === 401 || status === 400 ? 'Unauthorized' : reason);
    },
  };
}
