import type { AttemptFailure } from '../core/failure.js';

/** What is wrong where a request got no answer. */
export type TransportProblem = Pick<AttemptFailure, 'kind' | 'message'>;

/** Who is at the other end, or who we are, is in doubt: someone's settings are wrong, or someone is in between. */
export const TLS: TransportProblem = {
  kind: 'misconfigured',
  message:
    'keyverify: the TLS handshake failed: check the host in verifyUrl and the certificates (a private CA or a client certificate goes into a dispatcher)',
};

/** The other end spoke, but not HTTP, or too much of it. */
export const NO_HTTP: TransportProblem = {
  kind: 'invalid_response',
  message: 'keyverify: the key server gave no readable HTTP response',
};
