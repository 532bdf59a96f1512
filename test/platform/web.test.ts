import { describe, expect, test, vi } from 'vitest';

import { InvalidOptionsError, KeyVerifier } from 'keyverify';

import { transportProblem } from '../../src/transport/classify.js';
import { ResponseTooLarge } from '../../src/transport/transport.js';
import { GOOD, brief, rig } from '../helpers/rig.js';

vi.mock('#platform', async () => await import('../../src/platform/web.js'));

describe('on the web', () => {
  test('a dispatcher is refused, since undici is not there to dispatch', () => {
    const build = () =>
      new KeyVerifier({
        verifyUrl: 'https://admin.test/verify',
        serviceToken: 'token-1',
        dispatcher: { dispatch: () => true },
      });
    expect(build).toThrow(InvalidOptionsError);
    expect(build).toThrow('dispatcher: expected none, since undici does not run here: pass fetch or transport');
  });

  test('keys are verified by the global fetch, and remembered', async () => {
    const { server, build } = await rig();
    const verifier = build();
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(verifier.invalidate({ tenant: 'cust-A' })).toBe(1);
    expect(server.counts.requests).toBe(1);
  });

  test('errors are told by their message, since codes are of Node', () => {
    const kind = (error: unknown) => transportProblem(error, []).kind;
    expect(kind(Object.assign(new TypeError('Failed to fetch'), { code: 'CERT_HAS_EXPIRED' }))).toBe('unreachable');
    expect(kind(new TypeError('the certificate has expired'))).toBe('misconfigured');
    expect(kind(new ResponseTooLarge())).toBe('invalid_response');
  });
});
