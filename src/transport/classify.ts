import { explain } from '#platform';

import type { AttemptFailure } from '../core/failure.js';
import { innermostError, redactError } from '../core/redact.js';
import { RESPONSE_TOO_LARGE } from './transport.js';
import { NO_HTTP, TLS, type TransportProblem } from './problems.js';

/** Some runtimes give no code. */
const TLS_MESSAGE = /certificate|ssl alert/i;

const UNREACHABLE: TransportProblem = {
  kind: 'unreachable',
  message: 'keyverify: the key server can not be reached, or hung up',
};

/** Names what the network did. */
export function transportProblem(error: unknown, secrets: readonly string[]): AttemptFailure {
  const { code = '', message } = innermostError(error);
  const known = code === RESPONSE_TOO_LARGE ? NO_HTTP : explain(code);
  return {
    ...(known ?? (TLS_MESSAGE.test(message) ? TLS : UNREACHABLE)),
    cause: redactError(error, secrets),
  };
}

/**
 * With TLS 1.3 a server that wants a client certificate says so when the handshake is over for us, and undici reports
 * no more than a hang-up. One who has never answered gets no benefit of the doubt: the doubt could open.
 */
export function strangerProblem(problem: AttemptFailure, verifyUrl: string): AttemptFailure {
  const hungUp = problem.cause !== undefined && 'code' in problem.cause && problem.cause.code === 'UND_ERR_SOCKET';
  return hungUp && verifyUrl.startsWith('https:') ? { ...problem, ...TLS } : problem;
}
