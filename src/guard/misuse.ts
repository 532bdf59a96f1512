import { isFunction, isObject } from '../core/schema.js';

const has = (value: unknown, method: string): boolean =>
  (isObject(value) || isFunction(value)) && isFunction(Reflect.get(value, method));
const requestHeaders = (request: unknown): unknown => (isObject(request) ? Reflect.get(request, 'headers') : undefined);

/** In Node's headers every name may come from the caller, but nothing that can be called. */
export const isFetchRequest = (request: unknown): request is Request => has(requestHeaders(request), 'get');
export const isNodeRequest = (request: unknown): boolean => isObject(requestHeaders(request));
export const isNodeResponse = (response: unknown): boolean => has(response, 'setHeader') && has(response, 'end');
export const isNodeSocket = (socket: unknown): boolean => has(socket, 'destroy') && !isNodeResponse(socket);

export const misuse = (adapter: string, expected: string): TypeError =>
  new TypeError(`keyverify/${adapter}: expected ${expected}; import apiKeyAuth from the adapter for your framework`);

/**
 * Refuses what another framework passes. Called before there is a promise: frameworks handle what a middleware throws, but
 * not all of them what it rejects with later, which would end the process.
 */
export function expectCall(isRight: boolean, adapter: string, expected: string): asserts isRight {
  if (!isRight) throw misuse(adapter, expected);
}
