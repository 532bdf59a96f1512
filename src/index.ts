export { fingerprint, KeyVerifier } from './verifier.js';
export type { AnyVerifyOptions, PresentedKey, Verifier, VerifyOptions } from './core/verifier.js';
export type { KeyVerifierOptions } from './options/options.js';
export type { KeyFormat } from './core/admit.js';
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
export { InvalidOptionsError, isKeyVerifyError, KeyVerifyError, NotPublishedError } from './core/errors.js';
export type { ErrorCode } from './core/errors.js';
export { VerifyFailure } from './core/failure.js';
export type { AttemptFailure, Evidence, FailureDetails, FailureKind } from './core/failure.js';
export type { Selector } from './core/selector.js';
export type { BreakerState } from './core/breaker.js';
export type { Clock } from './core/clock.js';
export type {
  AbortEvent,
  AskEvent,
  AskOutcome,
  BreakerEvent,
  ControlEvent,
  FailOpenEvent,
  FailureEvent,
  InvalidateEvent,
  ObservedVerifier,
  Observer,
  RevocationEvent,
  RevocationGapEvent,
  SharedEvent,
  SharedOutcome,
  StaleEvent,
  VerdictEvent,
} from './core/events.js';
export type { RevocationStats, SharedStats, Stats, StatusCounts } from './core/stats.js';
export type {
  FollowContext,
  PositionedMessage,
  Revocation,
  RevocationSelector,
  RevocationSink,
  RevocationSource,
} from './fleet/revocation.js';
export type { FleetSupport } from './fleet/support.js';
export type { SharedCache, SharedEntry, SharedGet, SharedKey, SharedPut, SharedRead } from './fleet/shared-cache.js';
export type { CheckOptions, CheckResult, Health, RevocationsHealth, SharedCacheHealth } from './core/health.js';
export type { Freshness } from './core/verdict.js';
export type { Logger } from './core/logger.js';
export type { BreakerOptions } from './core/breaker.js';
export type { TokenSource } from './core/token.js';
export type {
  DecodeContext,
  ProtocolAnswer,
  ProtocolFailure,
  Question,
  ResponseFailureKind,
  WireProtocol,
} from './protocol/protocol.js';
export type { Dispatcher } from './transport/dispatcher.js';
export type { Fetch } from './transport/fetch.js';
export { TransportError } from './transport/transport.js';
export type {
  Exchange,
  SendOptions,
  Transport,
  TransportFailureKind,
  WireRequest,
  WireResponse,
} from './transport/transport.js';
export { VERSION } from './version.js';
