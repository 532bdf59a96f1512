import { classifier } from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import { nodeDiagnosis } from './node-errors.js';
import type { TransportRuntime } from './runtime.js';

/** The `fetch` of edge-runtime is Node's. Here nobody can find out whether there is a descriptor left. */
const checks = { classify: classifier(nodeDiagnosis(() => undefined)) };

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) => createFetchTransport(fetch, checks);

export const runtimeTransport: TransportRuntime['runtimeTransport'] = () => fetchTransport(globalFetch);

export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = undefined;
