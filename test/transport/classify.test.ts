import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { classifier, type Classify } from '../../src/transport/classify.js';
import { bunDiagnosis } from '../../src/transport/runtime/bun.js';
import { denoDiagnosis } from '../../src/transport/runtime/deno.js';
import { undiciDiagnosis } from '../../src/transport/runtime/undici-errors.js';
import { workerdDiagnosis } from '../../src/transport/runtime/workerd.js';
import { TransportError } from '../../src/transport/transport.js';

const HTTP = 'http://keys.test/verify';
const HTTPS = 'https://keys.test/verify';

const coded = (code: string, more: object = {}) => Object.assign(new Error('it broke'), { code, ...more });
const fetchFailed = (cause: unknown) => new TypeError('fetch failed', { cause });

/** What it comes to, in the fewest words; `-` for a connection that was never made. */
function brief(classify: Classify, error: unknown, url = HTTP): string {
  const { kind, unconnected, cause } = classify(error, url);
  expect(cause).toBe(error);
  return unconnected ? `-${kind}` : kind;
}

const open = () => true;
const onNode = classifier(undiciDiagnosis(open));
const onBun = classifier(bunDiagnosis(open));
const onDeno = classifier(denoDiagnosis(open));
const onWorkerd = classifier(workerdDiagnosis);

const TLS_CODES = [
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  // What OpenSSL holds against a certificate and Node has no name for, such as too weak a digest.
  'UNSPECIFIED',
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_UNEXPECTED_EOF_WHILE_READING',
  'EPROTO',
];

describe('on Node', () => {
  test.each([
    ['-unreachable', coded('ENOENT', { syscall: 'connect' })],
    ['unreachable', coded('EAGAIN', { syscall: 'connect' })],
    ['misconfigured', coded('ENOENT', { syscall: 'open' })],
    ['unreachable', coded('UND_ERR_RESPONSE', { statusCode: 500 })],
    ['unreachable', coded('UND_ERR_REQ_RETRY', { statusCode: 503 })],
    ['misconfigured', coded('UND_ERR_RESPONSE', { statusCode: 499 })],
    ['unreachable', coded('UND_ERR_SOCKS5_REPLY_4')],
    ['misconfigured', coded('UND_ERR_SOCKS5_REPLY_2')],
    ['unreachable', coded('UND_ERR_INFO', { message: 'HTTP/2: "GOAWAY" frame received with code 0' })],
    ['misconfigured', coded('UND_ERR_INFO', { message: 'HTTP/2: "GOAWAY" frame received with code 11' })],
  ])('is %s: %o', (expected, error) => {
    expect(brief(onNode, error)).toBe(expected);
  });

  test.each<[string, readonly string[]]>([
    ['-unreachable', ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']],
    ['unreachable', ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']],
    ['unreachable', ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']],
    ['misconfigured', TLS_CODES],
    ['invalid_response', ['HPE_INVALID_CONSTANT', 'HPE_INVALID_EOF_STATE', 'UND_ERR_HEADERS_OVERFLOW', 'Z_DATA_ERROR']],
    ['invalid_response', ['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']],
    ['overloaded', ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE']],
    ['misconfigured', ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED']],
    ['misconfigured', ['UND_ERR_ABORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'UND_ERR_REQ_RETRY', 'UND_ERR_INFO']],
    ['misconfigured', ['ERR_ACCESS_DENIED', 'EACCES', 'EPERM', 'ERR_INVALID_URL', 'ABORT_ERR', 'X']],
    // None of these is a code above, though each has one in it.
    ['misconfigured', ['XECONNRESET', 'ECONNRESETX', 'XENOTFOUND', 'ENOTFOUNDX', 'XECONNREFUSED', 'ECONNREFUSEDX']],
  ])('%s: %j', (expected, codes) => {
    for (const code of codes) {
      expect([code, brief(onNode, coded(code))]).toEqual([code, expected]);
      expect([code, brief(onNode, fetchFailed(coded(code)))]).toEqual([code, expected]);
    }
  });

  test('a connection that was never made is told from one that was lost', () => {
    expect(brief(onNode, coded('ETIMEDOUT', { syscall: 'connect' }))).toBe('-unreachable');
    expect(brief(onNode, coded('EHOSTUNREACH', { syscall: 'connect' }))).toBe('-unreachable');
    expect(brief(onNode, coded('ECONNRESET', { syscall: 'read' }))).toBe('unreachable');
  });

  test('a parser error is told by its name, since it may have no code', () => {
    const error = Object.assign(new Error('Expected HTTP/'), { name: 'HTTPParserError', code: undefined });
    expect(brief(onNode, fetchFailed(error))).toBe('invalid_response');
  });

  describe('a hang-up', () => {
    const hangUp = (message: string, socket?: object) =>
      Object.assign(new Error(message), { code: 'UND_ERR_SOCKET', socket });

    test.each([
      ['other side closed', HTTP, { bytesRead: 0 }, 'unreachable'],
      ['other side closed', HTTPS, { bytesRead: 1 }, 'unreachable'],
      // A client certificate may be what is missing.
      ['other side closed', HTTPS, { bytesRead: 0 }, 'invalid_response'],
      ['other side closed', HTTPS, { bytesRead: '1' }, 'invalid_response'],
      ['other side closed', HTTPS, undefined, 'invalid_response'],
      ['bad upgrade', HTTP, { bytesRead: 1 }, 'invalid_response'],
      ['bad response', HTTP, { bytesRead: 1 }, 'invalid_response'],
      ['closed', HTTP, { bytesRead: 1 }, 'misconfigured'],
      ['the other side closed', HTTP, { bytesRead: 1 }, 'misconfigured'],
    ])('"%s" from %s, having read %j: %s', (message, url, socket, expected) => {
      expect(brief(onNode, hangUp(message, socket), url)).toBe(expected);
    });
  });

  test.each([false, undefined])('a failed lookup says nothing while a descriptor may be missing: %s', (canOpen) => {
    const classify = classifier(undiciDiagnosis(() => canOpen));
    expect(brief(classify, coded('ENOTFOUND'))).toBe('overloaded');
    expect(brief(classify, coded('EAI_AGAIN'))).toBe('overloaded');
    expect(brief(classify, coded('ECONNREFUSED'))).toBe('-unreachable');
  });

  test.each([
    // An address of the key server that this machine has no way to is passed over, and the other one decides.
    [false, '2001:db8::1', '-unreachable'],
    [false, '::1', '-unreachable'],
    [false, '127.0.0.1', 'overloaded'],
    [false, undefined, 'overloaded'],
    // Out of ports, perhaps.
    [true, '::1', 'overloaded'],
  ])('no address is available, where there is IPv6: %s, on the way to %s: %s', (hasIPv6, address, expected) => {
    const classify = classifier(undiciDiagnosis(open, () => hasIPv6));
    const error = coded('EADDRNOTAVAIL', { address, syscall: 'connect' });
    expect(brief(classify, error)).toBe(expected);
    expect(brief(classify, fetchFailed(new AggregateError([error, coded('ECONNREFUSED')])))).toBe(expected);
    expect(brief(classify, coded('EADDRINUSE', { address }))).toBe('overloaded');
  });

  test('no IPv6 address is available, where nobody asks whether there is one', () => {
    expect(brief(onNode, coded('EADDRNOTAVAIL', { address: '::1' }))).toBe('overloaded');
  });

  test('messages say what to look at', () => {
    const message = (code: string) => onNode(coded(code), HTTP).message;
    expect(message('EMFILE')).toBe('keyverify: this process may be out of sockets, ports, file descriptors or memory');
    expect(message('UND_ERR_CLOSED')).toMatch('the dispatcher refused the request');
    expect(message('UND_ERR_ABORTED')).toMatch('a proxy refused the connection');
    expect(message('CERT_HAS_EXPIRED')).toMatch('the TLS handshake failed');
    expect(message('HPE_X')).toMatch('no readable HTTP response');
    expect(message('ECONNRESET')).toMatch('cannot be reached, or closed the connection');
    expect(message('X')).toMatch('failed in an unknown way');
  });
});

describe('anywhere', () => {
  test.each([
    undefined,
    null,
    'ECONNREFUSED',
    new Error('ECONNREFUSED'),
    new ReferenceError('x is not defined'),
    new TypeError("Cannot read properties of undefined (reading 'y')"),
    new TypeError('fetch failed'),
    new TypeError('Failed to fetch'),
    new DOMException('timed out', 'TimeoutError'),
    coded('ECONNRESET', { code: 104 }),
  ])('what is not on a list is no outage: %s', (thrown) => {
    for (const classify of [onNode, onBun, onDeno, onWorkerd]) expect(brief(classify, thrown)).toBe('misconfigured');
  });

  test('the innermost cause decides, not what wraps it', () => {
    expect(brief(onNode, Object.assign(coded('ECONNRESET'), { cause: coded('CERT_HAS_EXPIRED') }))).toBe(
      'misconfigured',
    );
    expect(brief(onNode, Object.assign(coded('CERT_HAS_EXPIRED'), { cause: coded('ECONNRESET') }))).toBe('unreachable');
    expect(brief(onNode, Object.assign(coded('ECONNRESET'), { cause: null }))).toBe('unreachable');
  });

  test('causes that go round in circles come to an end', () => {
    const circle = coded('ECONNRESET');
    circle.cause = circle;
    expect(brief(onNode, circle)).toBe('unreachable');
    const members = new AggregateError([]);
    members.errors.push(members, members);
    expect(brief(onNode, members)).toBe('misconfigured');
    const many = new AggregateError([]);
    many.errors.push(...Array.from({ length: 8 }, () => new AggregateError([many, coded('ECONNRESET')])));
    expect(brief(onNode, many)).toBe('unreachable');
  });

  test('256 errors in one are looked at, and more say nothing', () => {
    const of = (count: number) => new AggregateError(Array.from({ length: count }, () => coded('ECONNRESET')));
    expect([brief(onNode, of(255)), brief(onNode, of(256))]).toEqual(['unreachable', 'misconfigured']);
  });

  test('causes without an end say nothing', () => {
    class Endless extends Error {
      readonly code = 'ECONNRESET';
      override get cause() {
        return new Endless();
      }
    }
    expect(brief(onNode, Object.create(new Endless()))).toBe('misconfigured');
  });

  test('an error whose fields throw says nothing, whatever else it is', () => {
    const thrower = () => {
      throw new Error('no');
    };
    const hostile = new Proxy(coded('ECONNRESET'), { get: thrower, has: thrower, getPrototypeOf: thrower });
    expect(onNode(hostile, HTTP).kind).toBe('misconfigured');
    const withoutCause = Object.defineProperty(coded('ECONNRESET'), 'cause', { get: thrower });
    expect(onNode(withoutCause, HTTP).kind).toBe('unreachable');
  });

  test('of several addresses each has to be unreachable', () => {
    const several = (...codes: readonly string[]) =>
      brief(
        onNode,
        fetchFailed(Object.assign(new AggregateError(codes.map((code) => coded(code))), { code: codes[0] })),
      );
    expect(several('ECONNREFUSED', 'ECONNREFUSED')).toBe('-unreachable');
    expect(several('ECONNREFUSED', 'ETIMEDOUT')).toBe('unreachable');
    expect(several('ECONNREFUSED', 'CERT_HAS_EXPIRED')).toBe('misconfigured');
    expect(several('ECONNREFUSED', 'EMFILE')).toBe('overloaded');
    expect(several('ECONNREFUSED', 'X')).toBe('misconfigured');
    expect(brief(onNode, Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }))).toBe('-unreachable');
  });

  test('an error of another realm, as in a VM, is read as well', () => {
    const foreign = { name: 'AggregateError', errors: [{ name: 'Error', code: 'ECONNREFUSED', message: '' }] };
    expect(brief(onNode, { name: 'TypeError', message: 'fetch failed', cause: foreign })).toBe('-unreachable');
  });

  test('what a transport has classified stays so', () => {
    const error = new TransportError('overloaded', 'too much');
    expect(onNode(error, HTTP)).toBe(error);
  });
});

describe('on Bun', () => {
  test.each<[string, readonly string[]]>([
    ['-unreachable', ['ECONNREFUSED', 'ENOTFOUND']],
    ['unreachable', ['ECONNRESET']],
    ['misconfigured', [...TLS_CODES, 'ERR_PROXY_TUNNEL', 'ESERVFAIL']],
    ['invalid_response', ['Malformed_HTTP_Response', 'InvalidHTTPResponse', 'UnrequestedUpgrade', 'ZlibError']],
    ['overloaded', ['EMFILE', 'EADDRNOTAVAIL']],
  ])('%s: %j', (expected, codes) => {
    for (const code of codes) expect([code, brief(onBun, coded(code))]).toEqual([code, expected]);
  });

  test('a code of Node may have such letters further on', () => {
    expect(brief(onBun, coded('UND_ERR_Info'))).toBe('misconfigured');
  });

  test('without a descriptor even a refusal may be made up', () => {
    const classify = classifier(bunDiagnosis(() => false));
    for (const code of ['ECONNREFUSED', 'ENOTFOUND']) expect(brief(classify, coded(code))).toBe('overloaded');
  });
});

describe('on Deno', () => {
  const SENDING = 'error sending request from 127.0.0.1:1 for http://127.0.0.1:2/v (127.0.0.1:2): client error';
  const CONNECTING = 'error sending request for url (http://127.0.0.1:2/v): client error (Connect): ';
  const DNS = `${CONNECTING}dns error: failed to lookup address information: `;

  test.each([
    [`${CONNECTING}tcp connect error: Connection refused (os error 111)`, '-unreachable'],
    [`${DNS}Name or service not known`, '-unreachable'],
    ['Connection reset by peer (os error 104)', 'unreachable'],
    [`${SENDING} (SendRequest): connection closed before message completed`, 'unreachable'],
    [`${CONNECTING}tls handshake eof`, 'unreachable'],
    [`${CONNECTING}invalid peer certificate: UnknownIssuer`, 'misconfigured'],
    [`${CONNECTING}received fatal alert: HandshakeFailure`, 'misconfigured'],
    [`${CONNECTING}received corrupt message of type InvalidContentType`, 'misconfigured'],
    [`${SENDING} (SendRequest): invalid HTTP version parsed`, 'invalid_response'],
    [`${SENDING} (SendRequest): message head is too large`, 'invalid_response'],
    ['error reading a body from connection', 'invalid_response'],
    [`${CONNECTING}dns error: Too many open files (os error 24)`, 'overloaded'],
    [`${CONNECTING}tcp connect error: Cannot assign requested address (os error 99)`, 'overloaded'],
    ['Requires net access to "127.0.0.1:2", run again with the --allow-net flag', 'misconfigured'],
    [`${CONNECTING}tunnel error: unsuccessful`, 'misconfigured'],
    // A key in the URL says nothing, however it is written.
    ['error sending request for url (http://h/tls%20handshake%20eof): client error (Connect): x', 'misconfigured'],
    ['error sending request for url (http://h/(os%20error%20111)): client error (Connect): x', 'misconfigured'],
  ])('"%s": %s', (message, expected) => {
    expect(brief(onDeno, fetchFailed(new Error(message)))).toBe(expected);
  });

  test('a TLS failure comes with the way to set certificates', () => {
    const error = fetchFailed(new Error(`${CONNECTING}invalid peer certificate: UnknownIssuer`));
    expect(onDeno(error, HTTP).message).toContain('a dispatcher takes a private CA');
  });

  test('descriptors are counted where reading is permitted, and that alone is asked', async () => {
    const { fetchTransport } = await import('../../src/transport/runtime/deno.js');
    const querySync = vi.fn(() => ({ state: 'prompt' }));
    vi.stubGlobal('Deno', { permissions: { querySync } });
    onTestFinished(() => void vi.unstubAllGlobals());
    expect(await fetchTransport(fetch).isOverloaded?.(0)).toBe(false);
    expect(querySync.mock.calls).toEqual([[{ name: 'read' }]]);
  });

  test('a failed lookup says nothing where a descriptor may be missing', () => {
    const classify = classifier(denoDiagnosis(() => undefined));
    expect(brief(classify, new Error(`${DNS}Name or service not known`))).toBe('overloaded');
  });
});

describe('on workerd', () => {
  test.each([
    ['Network connection lost.', {}, 'unreachable'],
    ['Network connection lost.', { retryable: true }, 'unreachable'],
    ['Network connection lost.', { overloaded: true }, 'overloaded'],
    ['Network connection lost. Or so.', {}, 'misconfigured'],
    ['internal error; reference = abc', { retryable: true }, 'misconfigured'],
    ['The operation was aborted', { retryable: true }, 'misconfigured'],
  ])('"%s" %j: %s', (message, more, expected) => {
    expect(brief(onWorkerd, Object.assign(new Error(message), more))).toBe(expected);
  });
});
