import {
  classifier,
  NOT_HTTP,
  OWN_LIMIT,
  UNCONNECTED,
  UNREACHABLE,
  type Diagnosis,
  type ErrorDetails,
} from '../classify.js';
import { createFetchTransport, globalFetch } from '../fetch.js';
import { canOpenDescriptor } from './descriptors.js';
import { callerDispatcherTransport } from './caller-dispatcher.js';
import type { TransportRuntime } from './runtime.js';
import { TLS_OF_DISPATCHER, undiciDiagnosis } from './undici-errors.js';

declare const Deno: {
  readonly permissions: { querySync(descriptor: { readonly name: 'read' }): { readonly state: string } };
};

/** Deno gives texts alone. They quote the URL, which may hold the key, but never at their end, and never with a space. */
const LOST = /(?:connection closed before message completed|tls handshake eof|\(os error 104\))$/;
const LOOKUP_FAILED = / client error \(Connect\): dns error: [^()]*$/;
const TLS_TEXT = / (?:invalid peer certificate|received fatal alert|received corrupt message)/;
const RUBBISH = /(?: parsed|message head is too large|error reading a body from connection)$/;
const OWN_LIMIT_TEXT = /\(os error (?:24|99)\)$/;

export const denoDiagnosis =
  (canOpen: () => boolean | undefined) =>
  ({ message }: ErrorDetails): Diagnosis | undefined => {
    if (LOST.test(message)) return UNREACHABLE;
    if (message.endsWith('(os error 111)')) return UNCONNECTED;
    if (LOOKUP_FAILED.test(message)) return canOpen() === true ? UNCONNECTED : OWN_LIMIT;
    if (TLS_TEXT.test(message)) return TLS_OF_DISPATCHER;
    if (RUBBISH.test(message)) return NOT_HTTP;
    return OWN_LIMIT_TEXT.test(message) ? OWN_LIMIT : undefined;
  };

/** Without the permission to read, Deno would ask the user for it. */
const canOpen = (): boolean | undefined =>
  Deno.permissions.querySync({ name: 'read' }).state === 'granted' ? canOpenDescriptor() : undefined;

const isOverloaded = async (): Promise<boolean> => await Promise.resolve(canOpen() === false);

export const fetchTransport: TransportRuntime['fetchTransport'] = (fetch) =>
  createFetchTransport(fetch, { classify: classifier(denoDiagnosis(canOpen)), isOverloaded });

export const runtimeTransport: TransportRuntime['runtimeTransport'] = () => fetchTransport(globalFetch);

/** Undici runs on what Deno has of Node, whose codes it gives. */
export const dispatcherTransport: TransportRuntime['dispatcherTransport'] = callerDispatcherTransport({
  classify: classifier(undiciDiagnosis(canOpen)),
  isOverloaded,
});
