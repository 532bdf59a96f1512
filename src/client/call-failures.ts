import type { AttemptFailure } from '../core/failure.js';
import { redact, redactError } from '../core/redact.js';
import { isTransportError } from '../transport/transport.js';

/** Our own settings, or what the caller brought, are wrong. */
export const misconfigured = (message: string, cause?: Error): AttemptFailure => ({
  kind: 'misconfigured',
  message: `keyverify: ${message}`,
  cause,
});

/** A rejection that is not believed: our own token or URL may be the reason. */
export const doubtful = (status: number): AttemptFailure => ({
  kind: 'misconfigured',
  message: `keyverify: the key server answered ${status} to keys that were good: check serviceToken and verifyUrl`,
  status,
  ambiguous: true,
});

export const TIMEOUT: AttemptFailure = { kind: 'timeout', message: 'keyverify: the key server gave no answer in time' };

export const BUSY: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: the event loop was blocked',
};

export const UNSENT: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: no connection in time',
};

export const ABANDONED: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: given up: more questions are in flight than the key server can answer in time',
};

export const CONGESTED: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: no answer in time: more questions are in flight than the key server can answer in time',
};

export const UNUSABLE = misconfigured('transport, fetch, protocol or serviceToken gave neither response nor error');

export const NO_SLOT: AttemptFailure = {
  kind: 'timeout',
  message: 'keyverify: too many questions wait for the key server, and it answers nobody',
};

export const EXHAUSTED: AttemptFailure = {
  kind: 'overloaded',
  message: 'keyverify: out of threads or file descriptors',
};

/** A transport classifies its own errors. Any other error is a mistake in the transport, and denies. */
export function transportFailure(error: unknown, secrets: readonly string[]): AttemptFailure {
  if (!isTransportError(error)) return { ...UNUSABLE, cause: redactError(error, secrets) };
  const cause = redactError(error.cause ?? error, secrets);
  const failure = { kind: error.kind, message: redact(error.message, secrets), cause };
  return error.unconnected ? { ...failure, unconnected: true } : failure;
}
