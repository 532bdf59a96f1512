export { KeyVerifier } from './verifier.js';
export type { Verifier, VerifyOptions } from './verify-options.js';
export type { KeyVerifierOptions } from './options.js';
export { isFailedOpen, isRejected, isUnavailable, isVerified } from './result.js';
export type {
  DefaultClaims,
  FailedClosed,
  FailedOpen,
  KnownReason,
  Rejected,
  Verified,
  VerifyResult,
} from './result.js';
export { InvalidOptionsError, KeyVerifyError, VerifyFailure } from './failure.js';
export type { ErrorCode, FailureDetails, FailureKind } from './failure.js';
export type { Selector } from './cache/generations.js';
export type { Clock } from './cache/clock.js';
export type { BreakerEvent, FailOpenEvent, FailureEvent, Hooks, Logger, StaleEvent, VerdictEvent } from './events.js';
export type { Stats } from './stats.js';
export type { BreakerSettings, BreakerState } from './server/breaker.js';
export type { Dispatcher } from './server/dispatcher.js';
export type { Fetch } from './server/fetch.js';
export type { TokenSource } from './server/token.js';
export type { Exchange, ServerRequest, ServerResponse, Transport } from './server/transport.js';
export { VERSION } from './version.js';
