import type { Denial } from './denial.js';
import type { GuardRequest } from './request.js';

/** A `Request` as a guard sees it. Repeated headers come joined by a comma, which is refused as ambiguous. */
export function fromRequest(request: Request, waitUntil?: (work: Promise<unknown>) => void): GuardRequest {
  const header = (name: string): string[] => {
    const value = request.headers.get(name);
    return value === null ? [] : [value];
  };
  return { header, url: request.url, signal: () => request.signal, waitUntil };
}

/** A denial as a `Response`. */
export function toResponse({ status, headers, body }: Denial, request: Request): Response {
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}
