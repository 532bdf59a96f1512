/** `keyverify/node`: a listener for `node:http`, `node:https` and `node:http2`. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { proceed } from '../guard/decision.js';
import { createGuard } from '../guard/guard.js';
import { guardNode, type NodeRequest, type NodeResponse, sendDenial } from '../guard/node.js';
import { expectCall, isNodeRequest, isNodeResponse } from '../guard/misuse.js';
import { checkHandler, type GuardOptions, type IdentityOf } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions, IdentityOf } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/**
 * A listener that calls the handler only for requests with a valid key, with the caller's identity, and answers the others
 * itself. Throws `InvalidOptionsError` for wrong options. It catches no error of the handler, as `createServer()` by itself doesn't.
 * The handler's parameters have the types of `node:http`; annotate them if they are those of `node:http2`.
 *
 * @example
 * ```ts
 * const listener = apiKeyAuth(verifier, (request, response, identity) => {
 *   response.end(`Hello ${identity.client}`);
 * });
 * createServer(listener).listen(3000);
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  Request extends NodeRequest = IncomingMessage,
  Response extends NodeResponse = ServerResponse,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(
  verifier: VerifierSource<V>,
  handler: (request: Request, response: Response, identity: IdentityOf<ClaimsOf<V>, FailOpen, Optional>) => unknown,
  options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>,
): (request: Request, response: Response) => void {
  const guard = createGuard(verifier, options);
  checkHandler('handler', handler);
  return (request, response) => {
    expectCall(isNodeRequest(request) && isNodeResponse(response), 'node', 'a request and a response of Node.js');
    proceed(guardNode(guard, request, response), (decision) =>
      decision.allowed ? handler(request, response, decision.identity) : sendDenial(response, decision.denial),
    );
  };
}
