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
