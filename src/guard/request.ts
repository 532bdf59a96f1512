/** A request as a guard sees it. An adapter makes one from the request of its framework. */
export interface GuardRequest {
  /**
   * Every value of a header, one for each time it was sent; none if it was not. The name is in lower case.
   * A framework that joins or drops repeated headers hides a second key: read the raw headers where there are any.
   */
  readonly header: (name: string) => readonly string[];
  /** Path and query, with or without the origin. Only `{ query }` key sources read it. */
  readonly url: string;
  /** The signal that aborts when the caller leaves. Called only if the guard has to wait; return the same signal each time. */
  readonly signal?: (() => AbortSignal) | undefined;
  /** The framework's id of the request, for denials. Default: the caller's `X-Request-Id`, else a new UUID. */
  readonly requestId?: string | undefined;
  /** Keeps a worker alive during a background refresh: see `VerifyOptions`. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}
