import { classifier, type FailureChecks } from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import { openConnections } from './pool.js';
import { withFresh } from './fresh.js';
import type { Dispatcher } from '../dispatcher.js';
import type { Transport } from '../transport.js';
import { createDispatcherTransport } from '../undici.js';
import { deferredTransport } from './deferred.js';
import { canOpenDescriptor } from './descriptors.js';
import { hasIPv6 } from './ipv6.js';
import { callerDispatcherTransport } from './caller-dispatcher.js';
import { loadUndici } from './load-undici.js';
import type { TransportRuntime } from './runtime.js';
import { undiciDiagnosis } from './undici-errors.js';
import { isThreadPoolBusy, PING_MS } from './thread-pool.js';

const checks: FailureChecks = {
  classify: classifier(undiciDiagnosis(canOpenDescriptor, hasIPv6)),
  isOverloaded: async (waitedMs) =>
    canOpenDescriptor() === false || (waitedMs >= PING_MS && (await isThreadPoolBusy())),
};

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) => createFetchTransport(fetch, checks);

export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = callerDispatcherTransport(checks);

/** Keep-alive connections of undici's, which carry many times what the global `fetch` does. */
export const runtimeTransport: TransportRuntime['runtimeTransport'] = (options) =>
  deferredTransport(async () => {
    try {
      const { main, limit, reserved, fresh, destroy } = openConnections(await loadUndici(), options);
      const through = (dispatcher: () => Dispatcher): Transport =>
        createDispatcherTransport({ ...checks, verifyUrl: options.verifyUrl, dispatcher, neverQueues: true });
      return withFresh({ ...through(main), close: destroy }, limit, through, fresh, reserved);
    } catch (error) {
      options.warn?.(
        `keyverify: undici cannot be loaded, so fetch is used, which is slower (${String(error)}). In a bundle, keep undici external.`,
      );
      return fetchTransport(globalFetch);
    }
  });
