import type { Denial } from './denial.js';
import type { GuardRequest } from './request.js';

/** A `Request` as a guard sees it. Repeated headers come joined by a comma, which is refused as ambiguous. */
export function fromRequest(
  request: Request,
  waitUntil?: (work: Promise<unknown>) => void,
  requestId?: string,
): GuardRequest {
  const header = (name: string): string[] => {
    const value = request.headers.get(name);
    return value === null ? [] : [value];
  };
  return { header, url: request.url, signal: () => request.signal, requestId, waitUntil };
}

/** A denial as a `Response`. */
export function toResponse(
  { status, headers, body }: Denial,
  request: { readonly method?: string | undefined },
): Response {
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}
