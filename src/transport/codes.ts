import { NO_HTTP, TLS, type TransportProblem } from './problems.js';

const TLS_CODE =
  /^(?:CERT_|CRL_|ERR_TLS_|ERROR_IN_C|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|UNSPECIFIED$|ERR_SSL_.*(?:ALERT|CERTIFICATE|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL)|EPROTO$)/;

/** A message that merely ends early is a lost connection. */
const PROTOCOL_CODE = /^(?:HPE_(?!INVALID_EOF_STATE)|UND_ERR_HEADERS_OVERFLOW$|UND_ERR_RES_EXCEEDED)/;

/** We are at our end, not the server: whoever opens connections to this process can bring that about. */
const OWN_LIMIT_CODE = /^(?:EMFILE|ENFILE|ENOBUFS|ENOMEM)$/;

/** The dispatcher takes no such request, or no request any more: nothing has been sent. */
const DISPATCHER_CODE = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|CLOSED|DESTROYED)$/;

const REFUSED: TransportProblem = {
  kind: 'misconfigured',
  message: 'keyverify: the dispatcher refused the request: it has to be open, and of undici 7 or later',
};

const NOT_LOADED: TransportProblem = {
  kind: 'misconfigured',
  message:
    'keyverify: undici can not be loaded: a bundler that makes ES modules has to keep it external, or give it a require; or pass fetch',
};

/** What is meant by a code of undici, OpenSSL or the operating system, where it is more than a lost connection. */
export function explain(code: string): TransportProblem | undefined {
  if (TLS_CODE.test(code)) return TLS;
  if (PROTOCOL_CODE.test(code)) return NO_HTTP;
  if (DISPATCHER_CODE.test(code)) return REFUSED;
  if (OWN_LIMIT_CODE.test(code))
    return { kind: 'overloaded', message: `keyverify: this process is out of sockets or memory (${code})` };
  return code === 'TRANSPORT_NOT_LOADED' ? NOT_LOADED : undefined;
}
