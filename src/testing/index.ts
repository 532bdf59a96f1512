/**
 * `keyverify/testing`: a key server to test against, a stub for unit tests, a clock that tests advance, and the contract
 * suites of everything that can be plugged in.
 *
 * @module
 */
export type { DefaultVerifier } from '../guard/verifier.js';
export type { IssuedKey, KeyRecord } from './book.js';
export { testClock, type TestClock, type TestClockOptions } from './clock.js';
export type { Fault } from './faults.js';
export { memoryFleet, type MemoryFleet, type MemoryFleetOptions } from './fleet.js';
export type { KeyServerRequest } from './log.js';
export { startKeyServer, type KeyServer, type KeyServerCounts, type KeyServerOptions } from './key-server.js';
export type { ListenerOptions } from './listener.js';
export type { DraftReply, KeyAnswer, Respond } from './reply.js';
export { stubVerifier, type StubVerifier, type StubVerifierOptions } from './stub.js';
export type { ContractCase } from './suites/contract-case.js';
export { adapterCases } from './suites/adapter.js';
export type { AdapterCall, AdapterReply } from './suites/adapter-client.js';
export type { AdapterUnderTest } from './suites/adapter-rig.js';
export {
  adapterRoutes,
  type AdapterHandler,
  type AdapterPath,
  type AdapterService,
  type ServeAdapter,
} from './suites/adapter-routes.js';
export { keyServerCases, type KeyServerUnderTest } from './suites/key-server.js';
export { observerCases, type MakeObserver } from './suites/observer.js';
export { protocolCases, type ProtocolUnderTest, type SampleResponse } from './suites/protocol.js';
export {
  revocationSourceCases,
  type MakeRevocationSource,
  type RevocationSourceUnderTest,
} from './suites/revocation-source.js';
export { sharedCacheCases, type MakeSharedCache } from './suites/shared-cache.js';
export { transportCases, type MakeTransport } from './suites/transport.js';
