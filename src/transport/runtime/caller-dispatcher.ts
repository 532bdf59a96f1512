import type { FailureChecks } from '../classify.js';
import { createDispatcherTransport } from '../undici.js';
import type { TransportRuntime } from './runtime.js';

/** Where undici can run, a dispatcher of the caller's can: its requests may wait behind others. */
export const callerDispatcherTransport =
  (checks: FailureChecks): NonNullable<TransportRuntime['dispatcherTransport']> =>
  (verifyUrl, dispatcher) =>
    createDispatcherTransport({
      ...checks,
      verifyUrl,
      dispatcher: typeof dispatcher === 'function' ? dispatcher : () => dispatcher,
      neverQueues: false,
    });
