/** `keyverify/grpc`: a server interceptor for `@grpc/grpc-js`. It reads the key from the metadata of the call. */
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

import { proceed } from '../guard/decision.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
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
  503: status.UNAVAILABLE,
};

/** The headers of a denial that go into the trailers. */
const TRAILERS: ReadonlySet<string> = new Set(['x-request-id', 'retry-after', 'www-authenticate']);

function toStatus({ status: code, headers, reason }: Denial): Parameters<ServerInterceptingCall['sendStatus']>[0] {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) if (TRAILERS.has(name)) metadata.set(name, value);
  return { code: CODES[code] ?? status.INTERNAL, details: reason, metadata };
}

/** Guards the calls of a gRPC server. */
export interface GrpcAuth<Identity> {
  /** For `new Server({ interceptors: [interceptor] })`. The message of a denial's status is its reason. */
  readonly interceptor: ServerInterceptor;
  /** The caller. Throws for a call that has not been through the interceptor. */
  readonly identityOf: (call: { readonly metadata: Metadata }) => Identity;
}

/**
 * An interceptor that admits calls with a valid key, and a function that tells a handler its caller.
 * Throws `InvalidOptionsError`.
 *
 * @example
 * ```ts
 * const { interceptor, identityOf } = apiKeyAuth(verifier);
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
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): GrpcAuth<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
  const guard = createGuard(verifier, options);
  const admitted = new WeakMap<Metadata, { readonly identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional> }>();

  const interceptor: ServerInterceptor = (_method, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        const left = new AbortController();
        next({
          onCancel: () => left.abort(),
          onReceiveMetadata(metadata, pass) {
            const header = (name: string): string[] => metadata.get(name).map(String);
            proceed(guard({ header, url: '', signal: () => left.signal }), (decision) => {
              if (decision.allowed) {
                admitted.set(metadata, decision);
                pass(metadata);
              } else call.sendStatus(toStatus(decision.denial));
            });
          },
        });
      },
    });

  return {
    interceptor,
    identityOf({ metadata }) {
      const decision = admitted.get(metadata);
      if (decision === undefined) throw new Error('keyverify: the interceptor has not seen this call');
      return decision.identity;
    },
  };
}
