import type { WireResponse } from '../../src/transport/transport.js';

const JSON_TYPE = { 'content-type': 'application/json' };

/** A response as a transport hands it on. A body that is neither text nor bytes is sent as JSON. */
export function response(
  status: number,
  body: unknown = '',
  headers: Readonly<Record<string, string>> = JSON_TYPE,
): WireResponse {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { status, header: (name) => headers[name], body: bytes };
}

export const GOOD_BODY = { valid: true, client: 'acme', tenant: 'cust-A' };
