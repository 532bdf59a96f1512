import { classifier, NOT_HTTP, OWN_LIMIT, UNCONNECTED, type Diagnosis, type ErrorDetails } from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import { canOpenDescriptor } from './descriptors.js';
import { callerDispatcherTransport } from './caller-dispatcher.js';
import type { TransportRuntime } from './runtime.js';
import { undiciDiagnosis } from './undici-errors.js';

/** Bun has codes in CamelCase for what is not HTTP, and Node's for the rest. Without a descriptor, a refusal may be made up. */
export const bunDiagnosis = (canOpen: () => boolean | undefined) => {
  const asOnNode = undiciDiagnosis(canOpen);
  return (error: ErrorDetails, url: string): Diagnosis | undefined => {
    if (error.code === 'ECONNREFUSED') return canOpen() === true ? UNCONNECTED : OWN_LIMIT;
    return /^[A-Z][a-z]/.test(error.code) ? NOT_HTTP : asOnNode(error, url);
  };
};

const checks = {
  classify: classifier(bunDiagnosis(canOpenDescriptor)),
  isOverloaded: async () => await Promise.resolve(canOpenDescriptor() === false),
};

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) => createFetchTransport(fetch, checks);

export const runtimeTransport: TransportRuntime['runtimeTransport'] = () => fetchTransport(globalFetch);

/** For undici itself: `import 'undici'` is a stub of Bun's. */
export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = callerDispatcherTransport(checks);
