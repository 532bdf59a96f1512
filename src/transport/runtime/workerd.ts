import { classifier, OWN_LIMIT, UNREACHABLE, type Diagnosis, type ErrorDetails } from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import type { TransportRuntime } from './runtime.js';

/** An "internal error; reference = ..." may be TLS, DNS or a limit of ours. `retryable` says nothing: timeouts have it, too. */
export function workerdDiagnosis({ message, field }: ErrorDetails): Diagnosis | undefined {
  if (field('overloaded') === true) return OWN_LIMIT;
  return message === 'Network connection lost.' ? UNREACHABLE : undefined;
}

const checks = { classify: classifier(workerdDiagnosis) };

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) => createFetchTransport(fetch, checks);

export const runtimeTransport: TransportRuntime['runtimeTransport'] = () => fetchTransport(globalFetch);

export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = undefined;
