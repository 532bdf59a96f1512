export { KeyVerifier } from './verifier.js';
export type { Verifier, VerifyOptions } from './options/verify-options.js';
export type { KeyVerifierOptions } from './options/options.js';
export { isFailedOpen, isRejected, isUnavailable, isVerified } from './core/result.js';
export type {
  DefaultClaims,
  FailedClosed,
  FailedOpen,
  KnownReason,
  Rejected,
  Verified,
  VerifyResult,
} from './core/result.js';
export { InvalidOptionsError, KeyVerifyError, VerifyFailure } from './core/failure.js';
export type { ErrorCode, FailureDetails, FailureKind } from './core/failure.js';
export type { Selector } from './cache/invalidation-log.js';
export type { Clock } from './core/clock.js';
export type {
  BreakerEvent,
  FailOpenEvent,
  FailureEvent,
  Hooks,
  Logger,
  StaleEvent,
  VerdictEvent,
} from './core/events.js';
export type { Stats } from './observe/stats.js';
export type { BreakerSettings, BreakerState } from './resilience/breaker.js';
export type { Dispatcher } from './transport/undici.js';
export type { Fetch } from './transport/fetch.js';
export type { TokenSource } from './client/token.js';
export type { Exchange, ServerRequest, ServerResponse, Transport } from './transport/transport.js';
export { VERSION } from './version.js';
