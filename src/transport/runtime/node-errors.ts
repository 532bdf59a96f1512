import { fieldOf } from '../../core/schema.js';
import {
  CLOSED_AT_ONCE,
  NOT_HTTP,
  OWN_LIMIT,
  TLS_FAILED,
  UNCONNECTED,
  UNREACHABLE,
  type Diagnosis,
  type ErrorDetails,
} from '../classify.js';

const LOOKUP_FAILED = /^(?:ENOTFOUND|EAI_AGAIN)$/;

const NOT_CONNECTED = /^(?:ECONNREFUSED|UND_ERR_CONNECT_TIMEOUT)$/;

const CONNECTION_LOST = /^(?:ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|UND_ERR_(?:HEADERS|BODY)_TIMEOUT)$/;

const TLS_CODE =
  /^(?:CERT_|CRL_|ERR_(?:TLS|SSL)_|ERROR_IN_C|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_(?:CA|PURPOSE)$|PATH_LENGTH_EXCEEDED$|UNSPECIFIED$|EPROTO$)/;

const RUBBISH_CODE = /^(?:HPE_|Z_|UND_ERR_HEADERS_OVERFLOW$|UND_ERR_RES_)/;

/** Callers can bring these about: by opening connections to this process, for one. */
const OWN_LIMIT_CODE = /^(?:EMFILE|ENFILE|ENOBUFS|ENOMEM|EADDRNOTAVAIL|EADDRINUSE)$/;

/**
 * What the errors of Node's `fetch` say, which is made of undici. `canOpenDescriptor` tells whether this process can open
 * another file or socket: without one, the first lookup ends as if the name were unknown.
 */
export const nodeDiagnosis =
  (canOpenDescriptor: () => boolean | undefined) =>
  (error: ErrorDetails, url: string): Diagnosis | undefined => {
    const { code } = error;
    if (LOOKUP_FAILED.test(code)) return canOpenDescriptor() === true ? UNCONNECTED : OWN_LIMIT;
    if (NOT_CONNECTED.test(code)) return UNCONNECTED;
    if (CONNECTION_LOST.test(code)) return error.field('syscall') === 'connect' ? UNCONNECTED : UNREACHABLE;
    if (code === 'UND_ERR_SOCKET') return hangUp(error, url);
    if (TLS_CODE.test(code)) return TLS_FAILED;
    // By its name: undici gives most of these no code.
    if (error.name === 'HTTPParserError' || RUBBISH_CODE.test(code)) return NOT_HTTP;
    return OWN_LIMIT_CODE.test(code) ? OWN_LIMIT : undefined;
  };

function hangUp({ message, field }: ErrorDetails, url: string): Diagnosis | undefined {
  if (message === 'bad upgrade' || message === 'bad response') return NOT_HTTP;
  if (message !== 'other side closed') return undefined;
  // A connection that has never carried a response gets no benefit of the doubt: the doubt could open.
  return url.startsWith('https:') && !hasRead(field('socket')) ? CLOSED_AT_ONCE : UNREACHABLE;
}

function hasRead(socket: unknown): boolean {
  const bytesRead = fieldOf(socket, 'bytesRead');
  return typeof bytesRead === 'number' && bytesRead > 0;
}
