/** `keyverify/grpc`: a server interceptor for `@grpc/grpc-js`. It reads the key from the metadata of the call. */
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

import { InvalidOptionsError } from '../core/errors.js';
import { sentence } from '../core/messages.js';
import { isObject } from '../core/schema.js';
import { proceed } from '../guard/decision.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
import { Identities } from '../guard/identities.js';
import type { GuardOptions, IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** HTTP statuses as gRPC statuses; all others are INTERNAL. */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  429: status.RESOURCE_EXHAUSTED,
  499: status.CANCELLED,
  503: status.UNAVAILABLE,
};

/** The headers of a denial that go into the trailers. */
const TRAILERS: ReadonlySet<string> = new Set(['x-request-id', 'retry-after', 'www-authenticate']);

function toStatus({ status: code, headers, reason }: Denial): Parameters<ServerInterceptingCall['sendStatus']>[0] {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) if (TRAILERS.has(name)) metadata.set(name, value);
  return { code: CODES[code] ?? status.INTERNAL, details: reason, metadata };
}

/** Marks the metadata of a call, so that copies made by other interceptors have the same identity. */
const CALL = 'keyverify-call';

/** The options of a guard, and the methods that need no key. */
export type GrpcOptions<Claims, FailOpen extends boolean, Optional extends boolean> = GuardOptions<
  Claims,
  FailOpen,
  Optional
> & {
  /** Methods that need no key, by path: `['/grpc.health.v1.Health/Check']`. Their calls have no identity. Default: none. */
  readonly exemptMethods?: readonly string[] | undefined;
};

/** Guards the calls of a gRPC server. */
export interface GrpcAuth<Identity> {
  /** For `new Server({ interceptors: [interceptor] })`. The message of a denial's status is its reason. */
  readonly interceptor: ServerInterceptor;
  /** The caller's identity. Throws for a call that the interceptor has not admitted. */
  readonly identityOf: (call: { readonly metadata: Metadata }) => Identity;
}

const isPath = (value: unknown): boolean => typeof value === 'string' && /^\/[^/]+\/[^/]+$/.test(value);

function checkExemptions(exempt: unknown): void {
  if (!Array.isArray(exempt) || !exempt.every(isPath))
    throw new InvalidOptionsError(["exemptMethods: expected an array of paths such as '/shop.Orders/List'"]);
}

/**
 * An interceptor that admits only calls with a valid key, and a function that returns the caller's identity.
 * Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const { interceptor, identityOf } = apiKeyAuth(verifier, { exemptMethods: ['/grpc.health.v1.Health/Check'] });
 * const server = new Server({ interceptors: [interceptor] });
 * server.addService(orders, {
 *   list: (call, callback) => callback(null, { tenant: identityOf(call).tenant }),
 * });
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  options: GrpcOptions<ClaimsOf<V>, FailOpen, Optional> = {},
): GrpcAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  if (!isObject(options)) throw new InvalidOptionsError([sentence('options', 'an object', options)]);
  const { exemptMethods = [], ...guardOptions } = options;
  const guard = createGuard<V, FailOpen, Optional>(verifier, guardOptions);
  checkExemptions(exemptMethods);
  const identities = new Identities<IdentityOf<ClaimsOf<V>, FailOpen, Optional>>();
  /** The metadata of the calls that are running, by their mark. */
  const running = new Map<string, Metadata>();

  const interceptor: ServerInterceptor = ({ path }, call) => {
    const mark = crypto.randomUUID();
    const left = new AbortController();
    const onReceiveMetadata = (metadata: Metadata, pass: (metadata: Metadata) => void): void => {
      metadata.remove(CALL);
      if (exemptMethods.includes(path)) {
        pass(metadata);
        return;
      }
      const header = (name: string): string[] => metadata.get(name).map(String);
      proceed(guard({ header, url: '', signal: () => left.signal }), (decision) => {
        if (!decision.allowed) {
          call.sendStatus(toStatus(decision.denial));
          return;
        }
        identities.admit(metadata, decision);
        if (!left.signal.aborted) running.set(mark, metadata);
        metadata.set(CALL, mark);
        pass(metadata);
      });
    };
    const onCancel = (): void => {
      left.abort();
      running.delete(mark);
    };
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onCancel, onReceiveMetadata }),
      sendStatus: (status, next) => {
        running.delete(mark);
        next(status);
      },
    });
  };

  return {
    interceptor,
    identityOf: ({ metadata }) => identities.of(running.get(String(metadata.get(CALL)[0])) ?? metadata),
  };
}
