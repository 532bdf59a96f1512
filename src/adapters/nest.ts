/** `keyverify/nest`: a guard, and a decorator for the parameter that takes the caller's identity. */
import { type CanActivate, createParamDecorator, type ExecutionContext, HttpException } from '@nestjs/common';

import { fieldOf, isObject } from '../core/schema.js';
import type { Denial } from '../guard/denial.js';
import { createGuard } from '../guard/guard.js';
import { fromHandshake, type HandshakeSocket } from '../guard/handshake.js';
import { Identities } from '../guard/identities.js';
import { fromNode, guardNode, type NodeRequest, type NodeResponse } from '../guard/node.js';
import type { GuardOptions } from '../guard/options.js';
import type { AnyVerifier, ClaimsOf, FailOpenBy, VerifierSource } from '../guard/verifier.js';

export type { DenialContext, DenialOverrides, ProblemDetails } from '../guard/denial.js';
export type { KeySource } from '../guard/key-sources.js';
export type { GuardOptions } from '../guard/options.js';
export type { AnyVerifier, VerifierSource } from '../guard/verifier.js';

/** Express passes on the request of Node, Fastify wraps it. */
interface NestRequest extends NodeRequest {
  readonly raw?: NodeRequest;
}

interface NestResponse extends NodeResponse {
  readonly raw?: NodeResponse;
  header(name: string, value: string): unknown;
}

/** A guard for HTTP, GraphQL and WebSockets. */
export interface NestAuth extends CanActivate {
  /**
   * For the platform `ws`, whose sockets don't know the request that opened them: call it in
   * `handleConnection(socket, request)`. Socket.IO needs no such call.
   */
  readonly remember: (socket: object, request: NodeRequest) => void;
}

const identities = new Identities<unknown>();

const isRequest = (value: unknown): value is NestRequest => isObject(value) && isObject(Reflect.get(value, 'headers'));

/** Fastify's request has no headers as they were sent: those are in the one that it wraps. */
const rawOf = ({ headers, url, id, rawHeaders, raw }: NestRequest): NodeRequest => ({
  headers,
  url,
  id,
  rawHeaders: rawHeaders ?? raw?.rawHeaders,
});

/** The request of an operation: each GraphQL server has it somewhere else in the context. */
function requestOf(context: unknown): NestRequest | undefined {
  const req = fieldOf(context, 'req');
  const extra = fieldOf(context, 'extra') ?? fieldOf(req, 'extra');
  return [req, fieldOf(fieldOf(context, 'reply'), 'request'), fieldOf(extra, 'request')].find(isRequest);
}

/** What stands for the request of a context. The payload of a message and the parent of a field never do. */
function carrierOf(context: ExecutionContext): object | undefined {
  const type = context.getType<string>();
  if (type === 'graphql') return requestOf(context.getArgByIndex(2));
  if (type === 'ws') return context.switchToWs().getClient<object>();
  return type === 'http' ? context.switchToHttp().getRequest<object>() : undefined;
}

function toException({ status, body, content }: Denial): HttpException {
  return new HttpException(isObject(content) ? content : body, status);
}

/**
 * A guard that admits only requests with a valid key: for a route, a resolver, a gateway or a controller, or with
 * `app.useGlobalGuards(apiKeyAuth(verifier))` for all routes and resolvers. Nest 10 and 11 call no global guard for gateways,
 * and no version calls one for a microservice that is connected without `inheritAppConfig: true`. Where it is called for
 * a microservice, it denies. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * @Get('/orders')
 * @UseGuards(apiKeyAuth(verifier))
 * orders(@Identity() identity: Verified) {
 *   return { tenant: identity.tenant };
 * }
 * ```
 */
export function apiKeyAuth<
  V extends AnyVerifier,
  FailOpen extends boolean = FailOpenBy<V>,
  Optional extends boolean = false,
>(verifier: VerifierSource<V>, options?: GuardOptions<ClaimsOf<V>, FailOpen, Optional>): NestAuth {
  const guard = createGuard(verifier, options);
  const opened = new WeakMap<object, NodeRequest>();

  const guardHttp = async (context: ExecutionContext): Promise<true> => {
    const request = context.switchToHttp().getRequest<NestRequest>();
    const response = context.switchToHttp().getResponse<NestResponse>();
    const decision = await guardNode(guard, rawOf(request), response.raw ?? response);
    if (!decision.allowed) {
      for (const [name, value] of Object.entries(decision.denial.headers)) response.header(name, value);
      throw toException(decision.denial);
    }
    identities.admit(request, decision);
    return true;
  };

  const guardGraphql = async (context: ExecutionContext): Promise<true> => {
    const request = requestOf(context.getArgByIndex(2));
    if (request === undefined) throw new Error('keyverify: expected the request in the GraphQL context, as req');
    const decision = await guard(fromNode(rawOf(request)));
    if (!decision.allowed) {
      const { status, reason, body, content } = decision.denial;
      // The drivers of Nest tell an HTTP exception by its statusCode.
      const response = isObject(content) ? { message: reason, ...content } : { message: body };
      throw new HttpException({ statusCode: status, ...response }, status);
    }
    identities.admit(request, decision);
    return true;
  };

  const guardWs = async (context: ExecutionContext): Promise<true> => {
    const { WsException } = await import('@nestjs/websockets');
    const client = context.switchToWs().getClient<Partial<HandshakeSocket>>();
    const { handshake = opened.get(client), request = opened.get(client) } = client;
    if (handshake === undefined)
      throw new Error(
        'keyverify: nothing is known of the request of this socket: call remember() in handleConnection()',
      );
    const decision = await guard(fromHandshake({ handshake, request }));
    if (!decision.allowed)
      throw new WsException(isObject(decision.denial.content) ? decision.denial.content : decision.denial.body);
    identities.admit(client, decision);
    return true;
  };

  return {
    remember: (socket, request) => void opened.set(socket, request),
    async canActivate(context) {
      const type = context.getType<string>();
      if (type === 'http') return await guardHttp(context);
      if (type === 'graphql') return await guardGraphql(context);
      if (type === 'ws') return await guardWs(context);
      throw new Error(`keyverify: this guard is for HTTP, GraphQL and WebSockets, not for ${type}`);
    },
  };
}

/**
 * The caller's identity, as a parameter of a handler: `@Identity() identity: Verified`. Write `Verified | null` if the key is
 * optional or the verifier may fail open. Throws, which is a 500, if no guard has run.
 */
export const Identity = createParamDecorator((_: unknown, context: ExecutionContext) =>
  identities.of(carrierOf(context) ?? context, 'no guard has admitted this request'),
);
