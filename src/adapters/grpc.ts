/** `keyverify/grpc`: a server interceptor for `@grpc/grpc-js`. The key is read from the call's metadata. */
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

import { createGuard, proceed } from '../guard/guard.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, GuardOptions, IdentityOf } from '../guard/options.js';
import type { Denial } from '../guard/problem.js';

export type { AnyVerifier, DenialContext, DenialShape, GuardOptions, IdentityOf } from '../guard/options.js';
export type { KeySource } from '../guard/key-sources.js';
export type { Problem } from '../guard/problem.js';

/** The status of HTTP as one of gRPC; all else is INTERNAL. */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  429: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
};

/** What goes into the trailers of a denial; the reason is the message of its status. */
const TRAILERS: ReadonlySet<string> = new Set(['x-request-id', 'retry-after', 'www-authenticate']);

function toStatus({ status: code, headers, reason }: Denial): Parameters<ServerInterceptingCall['sendStatus']>[0] {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) if (TRAILERS.has(name)) metadata.set(name, value);
  return { code: CODES[code] ?? status.INTERNAL, details: reason, metadata };
}

/** A door for calls. */
export interface Keyverify<Identity> {
  /** `new Server({ interceptors: [interceptor] })`. */
  readonly interceptor: ServerInterceptor;
  /** Who makes this call. Throws for a call that has not been through the interceptor. */
  readonly identityOf: (call: { readonly metadata: Metadata }) => Identity;
}

/** A door that nobody passes without a good key. */
export function keyverify<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: V,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): Keyverify<IdentityOf<ClaimsOf<V>, FailOpen, Optional>> {
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
      const found = admitted.get(metadata);
      if (found === undefined) throw new Error('keyverify: the interceptor has not seen this call');
      return found.identity;
    },
  };
}
