// What the comparison takes from its own dependencies. They aren't installed when the root is type-checked.
declare module '@fastify/bearer-auth' {
  import type { FastifyPluginCallback } from 'fastify';

  const plugin: FastifyPluginCallback<{ keys: Set<string>; auth: (key: string) => Promise<boolean> }>;
  export default plugin;
}

declare module 'express-oauth2-jwt-bearer' {
  import type { RequestHandler } from 'express';

  export function auth(options: {
    issuerBaseURL: string;
    audience: string;
    tokenSigningAlg: string;
    validators?: Record<string, () => boolean>;
  }): RequestHandler;
}

declare module '@unkey/hono' {
  import type { Context, MiddlewareHandler } from 'hono';

  export function unkey(options: { rootKey: string; getKey?: (c: Context) => string }): MiddlewareHandler;
}

declare module 'jose' {
  type Key = object;
  export function generateKeyPair(algorithm: string): Promise<{ publicKey: Key; privateKey: Key }>;
  export function exportJWK(key: Key): Promise<object>;
  export class SignJWT {
    constructor(payload: object);
    setProtectedHeader(header: { alg: string; kid: string }): this;
    setIssuer(issuer: string): this;
    setAudience(audience: string): this;
    setIssuedAt(): this;
    setExpirationTime(time: string): this;
    sign(key: Key): Promise<string>;
  }
}
