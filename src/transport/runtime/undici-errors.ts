import { TLS_FAILED, UNCONNECTED, UNREACHABLE, type Diagnosis, type ErrorDetails } from '../classify.js';
import { answeredStatus } from '../dispatcher.js';
import { nodeDiagnosis } from './node-errors.js';

/** The dispatcher takes no such request, or no request any more: nothing has been sent. */
const DISPATCHER_CODE = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|CLOSED|DESTROYED)$/;

const DISPATCHER_REFUSED: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the dispatcher refused the request: it has to be open, and of undici 7 or later',
};

/** Where undici runs, there is an option for certificates. */
export const TLS_OF_DISPATCHER: Diagnosis = {
  ...TLS_FAILED,
  message: `${TLS_FAILED.message} (a dispatcher takes a private CA or client certificate)`,
};

/** How undici reports that a proxy can't reach the key server: by the status of its answer to CONNECT. */
const PROXY_FAILED = /^Proxy response \(50[234]\)/;

/** A SOCKS5 proxy that can't reach the key server (RFC 1928, section 6). */
const NOT_REACHED = /^UND_ERR_SOCKS5_REPLY_[3-6]$/;

/** The server of a Unix socket has removed it, or accepts nobody any more; the latter may be because many callers ask. */
const UNIX_SOCKET = /^(?:ENOENT|EAGAIN)$/;

/**
 * How a server over HTTP/2 goes away, or says that it can't do its work: NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL,
 * CONNECT_ERROR. Its other codes complain about us, and ENHANCE_YOUR_CALM about how much callers ask and give up.
 */
const HTTP2_LOST =
  /^(?:Stream closed with error code NGHTTP2_(?:NO_ERROR|INTERNAL_ERROR|REFUSED_STREAM|CANCEL|CONNECT_ERROR)|HTTP\/2: (?:"GOAWAY" frame received with code (?:0|2|7|8|10)|stream (?:closed before|half-closed).*))$/;

/** Any other answer of a proxy has the same code. */
const PROXY_REFUSED: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the request was aborted: a proxy refused the connection, or a dispatcher gave up',
};

/**
 * What the errors of Node's `fetch` say, and those of dispatchers, which callers can set where undici runs. `hasIPv6` tells
 * whether this machine has an IPv6 address: without one, such an address of the key server is no way to it.
 */
export const undiciDiagnosis = (canOpenDescriptor: () => boolean | undefined, hasIPv6 = () => true) => {
  const ofNode = nodeDiagnosis(canOpenDescriptor);
  return (error: ErrorDetails, url: string): Diagnosis | undefined => {
    if (DISPATCHER_CODE.test(error.code)) return DISPATCHER_REFUSED;
    if (error.code === 'EADDRNOTAVAIL' && isIPv6(error.field('address')) && !hasIPv6()) return UNCONNECTED;
    if (error.code === 'UND_ERR_ABORTED') return PROXY_FAILED.test(error.message) ? UNREACHABLE : PROXY_REFUSED;
    if (UNIX_SOCKET.test(error.code) && error.field('syscall') === 'connect')
      return error.code === 'ENOENT' ? UNCONNECTED : UNREACHABLE;
    if (NOT_REACHED.test(error.code) || HTTP2_LOST.test(error.message)) return UNREACHABLE;
    const status = answeredStatus({ code: error.code, statusCode: error.field('statusCode') });
    if ((status ?? 0) >= 500) return UNREACHABLE;
    const diagnosis = ofNode(error, url);
    return diagnosis === TLS_FAILED ? TLS_OF_DISPATCHER : diagnosis;
  };
};

const isIPv6 = (address: unknown): boolean => typeof address === 'string' && address.includes(':');
