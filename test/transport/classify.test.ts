import { describe, expect, test } from 'vitest';

import { transportProblem } from '../../src/transport/classify.js';
import { MAX_RESPONSE_BYTES, ResponseTooLarge, join } from '../../src/transport/transport.js';

const KEY = 'sk-good-0123456789abcdef';
const error = (code: string, message = 'it broke') => Object.assign(new Error(message), { code });

describe('what the network did', () => {
  const kind = (thrown: unknown): string => transportProblem(thrown, [KEY]).kind;

  test.each([
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'CERT_REVOKED',
    'CERT_UNTRUSTED',
    'CRL_HAS_EXPIRED',
    'CRL_SIGNATURE_FAILURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERROR_IN_CERT_NOT_AFTER_FIELD',
    'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'HOSTNAME_MISMATCH',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'PATH_LENGTH_EXCEEDED',
    // How Node calls whatever else OpenSSL holds against a certificate, such as too weak a digest.
    'UNSPECIFIED',
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'ERR_SSL_CERTIFICATE_VERIFY_FAILED',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'ERR_SSL_UNSUPPORTED_PROTOCOL',
    'EPROTO',
  ])('is a misconfiguration where it is about identity: %s', (code) => {
    expect(transportProblem(error(code), [KEY])).toMatchObject({
      kind: 'misconfigured',
      message:
        'keyverify: the TLS handshake failed: check the host in verifyUrl and the certificates (a private CA or a client certificate goes into a dispatcher)',
    });
  });

  test.each(['unable to verify the first certificate', 'Certificate unknown', 'ssl alert number 42', 'SSL Alert'])(
    'is told by its message where the runtime gives no code: %s',
    (message) => {
      expect(kind(new TypeError('fetch failed', { cause: new Error(message) }))).toBe('misconfigured');
    },
  );

  test.each([
    'HPE_INVALID_CONSTANT',
    'HPE_HEADER_OVERFLOW',
    'UND_ERR_HEADERS_OVERFLOW',
    'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  ])('is no verdict where the other end does not speak HTTP, or too much: %s', (code) => {
    expect(transportProblem(error(code), [KEY])).toMatchObject({
      kind: 'invalid_response',
      message: 'keyverify: the key server gave no readable HTTP response',
    });
  });

  test('is no verdict where the response is too large', () => {
    expect(MAX_RESPONSE_BYTES).toBe(65_536);
    expect(transportProblem(new ResponseTooLarge(), [KEY])).toMatchObject({
      kind: 'invalid_response',
      cause: {
        name: 'ResponseTooLarge',
        code: 'RESPONSE_TOO_LARGE',
        message: 'the response is larger than 65536 bytes',
      },
    });
  });

  test.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOTFOUND',
    'EAI_AGAIN',
    'UND_ERR_SOCKET',
    'UND_ERR_CONNECT_TIMEOUT',
    // A message that merely ends early.
    'HPE_INVALID_EOF_STATE',
    'ERR_SSL_UNEXPECTED_EOF_WHILE_READING',
    // None of these is a code above, though each has one in it.
    'X_CERT_',
    'XHPE_INVALID',
    'EPROTONOSUPPORT',
    'RESPONSE_TOO_LARGE_X',
    'X_RESPONSE_TOO_LARGE',
    'UND_ERR_HEADERS_OVERFLOW_X',
    'INVALID_CA_X',
    'INVALID_PURPOSE_X',
    'HOSTNAME_MISMATCH_X',
    'PATH_LENGTH_EXCEEDED_X',
    'UNSPECIFIED_X',
  ])('is otherwise a server that is out of reach: %s', (code) => {
    expect(transportProblem(error(code), [KEY])).toMatchObject({
      kind: 'unreachable',
      message: 'keyverify: the key server can not be reached, or hung up',
    });
  });

  test.each([undefined, 'text', new Error('')])('is a server out of reach where nothing is said: %s', (thrown) => {
    expect(kind(thrown)).toBe('unreachable');
  });

  test('is told with its innermost cause, without secrets', () => {
    const { cause } = transportProblem(new TypeError('fetch failed', { cause: error('ECONNREFUSED', `no ${KEY}`) }), [
      KEY,
    ]);
    expect(cause).toMatchObject({ code: 'ECONNREFUSED', message: 'no [redacted]' });
  });
});

describe('the chunks of a body', () => {
  test('are put together in their order', () => {
    const whole = join([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)], 3);
    expect([...whole]).toEqual([1, 2, 3]);
  });

  test('are not copied where there is one only', () => {
    const only = Uint8Array.of(1, 2);
    expect(join([only], 2)).toBe(only);
  });

  test('may be none', () => {
    expect(join([], 0)).toHaveLength(0);
  });
});
