import { fieldOf } from '../core/schema.js';

/** What undici sends. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export interface DispatchController {
  abort(reason: Error): void;
}

export interface DispatchOptions {
  readonly origin: string;
  readonly path: string;
  readonly method: (typeof METHODS)[number];
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly maxRedirections: number;
}

export type RawHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface DispatchHandler {
  onRequestStart(controller: DispatchController, context: unknown): void;
  onResponseStart(controller: DispatchController, statusCode: number, headers: RawHeaders): void;
  onResponseData(controller: DispatchController, chunk: Uint8Array): void;
  onResponseEnd(): void;
  onResponseError(controller: DispatchController, error: Error): void;
}

/** As much of undici's `Dispatcher` as is called: an `Agent`, `Pool`, `ProxyAgent`, ... of undici 7 or later fits. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
}

/** What undici's retry agent and its `responseError` interceptor make errors of is a response all the same. */
export function answeredStatus(error: unknown): number | undefined {
  const status = fieldOf(error, 'statusCode');
  const code = fieldOf(error, 'code');
  const answered = code === 'UND_ERR_REQ_RETRY' || code === 'UND_ERR_RESPONSE';
  return answered && typeof status === 'number' && status >= 400 ? status : undefined;
}
