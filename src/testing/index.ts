/**
 * A key server to test against, over real sockets and with faults on demand, and a stand-in for unit tests.
 *
 * @module
 */
export type { KeyRecord, Reason } from './book.js';
export type { Fault } from './faults.js';
export type { KeyServerRequest } from './log.js';
export { startKeyServer, type KeyServer, type KeyServerCounts, type KeyServerOptions } from './key-server.js';
export { stubVerifier, type StubVerifier, type StubVerifierOptions } from './stub.js';
