import type { Dispatcher } from '../dispatcher.js';
import type { Fetch } from '../fetch.js';
import type { Transport, TransportOptions } from '../transport.js';

/**
 * How this runtime reaches a server: each module beside this one exports all of it, and package.json's `imports` picks
 * one as `#transport`. Each classifies errors by the list of its runtime.
 */
export interface TransportRuntime {
  /** What requests go out by where the caller brings nothing. */
  runtimeTransport(options: TransportOptions): Transport;
  /** Sends requests by a `fetch` of the caller's. */
  fetchTransport(fetch: Fetch): Transport;
  /** Sends requests through an undici dispatcher of the caller's; `undefined` where undici can't run. */
  readonly dispatcherTransport:
    ((verifyUrl: string, dispatcher: Dispatcher | (() => Dispatcher)) => Transport) | undefined;
}
