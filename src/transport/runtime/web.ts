import { classifier } from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import type { TransportRuntime } from './runtime.js';

/** In browsers nothing may open: one text stands for a server that is down, for DNS, TLS, offline, CORS and CSP. */
const checks = { classify: classifier(() => undefined) };

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) => createFetchTransport(fetch, checks);

export const runtimeTransport: TransportRuntime['runtimeTransport'] = () => fetchTransport(globalFetch);

export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = undefined;
