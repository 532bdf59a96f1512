import type { FailureKind, Problem } from '../failure.js';
import { describe, safeCause } from './secrets.js';

/** One request to the key server. */
export interface ServerRequest {
  readonly url: string;
  readonly method: 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came back. A redirect is an answer like any other: it must not be followed. */
export interface ServerResponse {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** Needed for status 200 only; a transport consumes or drops the body of any other. */
  readonly body: Uint8Array;
}

/** A request on its way. */
export interface Exchange {
  /** Rejects with whatever error the network gave, or with `ResponseTooLarge`. */
  readonly response: Promise<ServerResponse>;
  /** Gives the request up and frees its connection; `response` may then reject, or never settle. */
  readonly abort: (reason: Error) => void;
}

/** How requests reach the key server. */
export interface Transport {
  send(request: ServerRequest): Exchange;
  /** Loads and opens ahead of time whatever the first request would wait for. */
  warmUp?(): Promise<void>;
  close?(): Promise<void>;
}

/** What a runtime's own transport is made from. */
export interface TransportSettings {
  readonly verifyUrl: string;
  readonly maxConcurrency: number;
  readonly timeoutMs: number;
}

/** The most that a verdict may weigh, in bytes. */
export const MAX_RESPONSE_BYTES = 64 * 1024;

export class ResponseTooLarge extends Error {
  override readonly name = 'ResponseTooLarge';
  readonly code = 'RESPONSE_TOO_LARGE';

  constructor() {
    super(`the response is larger than ${MAX_RESPONSE_BYTES} bytes`);
  }
}

/** Puts the chunks of a body together. */
export function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** Who is at the other end, or who we are, is in doubt: someone's settings are wrong, or someone is in between. */
const TLS_CODE =
  /^(?:CERT_|CRL_|ERR_TLS_|ERROR_IN_C|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|UNSPECIFIED$|ERR_SSL_.*(?:ALERT|CERTIFICATE|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL)|EPROTO$)/;
/** Some runtimes give no code. */
const TLS_MESSAGE = /certificate|ssl alert/i;
/** The other end spoke, but not HTTP, or too much of it. A message that merely ends early is a lost connection. */
const PROTOCOL_CODE =
  /^(?:HPE_(?!INVALID_EOF_STATE)|RESPONSE_TOO_LARGE$|UND_ERR_HEADERS_OVERFLOW$|UND_ERR_RES_EXCEEDED)/;

const TLS_ADVICE =
  'the TLS handshake failed: check the host in verifyUrl and the certificates (a private CA or a client certificate goes into a dispatcher)';

/** We are at our end, not the server: whoever opens connections to this process can bring that about. */
const OWN_LIMIT_CODE = /^(?:EMFILE|ENFILE|ENOBUFS|ENOMEM)$/;

/** The dispatcher takes no such request, or no request any more: nothing has been sent. */
const DISPATCHER_CODE = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|CLOSED|DESTROYED)$/;

const DISPATCHER_ADVICE = 'the dispatcher refused the request: it has to be open, and of undici 7 or later';

const LOAD_ADVICE =
  'undici can not be loaded: a bundler that makes ES modules has to keep it external, or give it a require; or pass fetch';

/**
 * With TLS 1.3 a server that wants a client certificate says so when the handshake is over for us, and undici reports
 * no more than a hang-up. One who has never answered gets no benefit of the doubt: the doubt could open.
 */
export function strangerProblem(problem: Problem, verifyUrl: string): Problem {
  const hungUp = problem.cause !== undefined && 'code' in problem.cause && problem.cause.code === 'UND_ERR_SOCKET';
  if (!hungUp || !verifyUrl.startsWith('https:')) return problem;
  return { ...problem, kind: 'misconfigured', message: `keyverify: ${TLS_ADVICE}` };
}

/** Names what the network did. */
export function transportProblem(error: unknown, secrets: readonly string[]): Problem {
  const { code = '', message } = describe(error);
  const problem = (kind: FailureKind, text: string): Problem => ({
    kind,
    message: `keyverify: ${text}`,
    cause: safeCause(error, secrets),
  });
  if (PROTOCOL_CODE.test(code)) return problem('invalid_response', 'the key server gave no readable HTTP response');
  if (code === 'TRANSPORT_NOT_LOADED') return problem('misconfigured', LOAD_ADVICE);
  if (DISPATCHER_CODE.test(code)) return problem('misconfigured', DISPATCHER_ADVICE);
  if (TLS_CODE.test(code) || TLS_MESSAGE.test(message)) return problem('misconfigured', TLS_ADVICE);
  if (OWN_LIMIT_CODE.test(code)) return problem('overloaded', `this process is out of sockets or memory (${code})`);
  return problem('unreachable', 'the key server can not be reached, or hung up');
}
