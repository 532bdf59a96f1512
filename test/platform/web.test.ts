import { describe, expect, test, vi } from 'vitest';

import { InvalidOptionsError, KeyVerifier } from 'keyverify';

import { GOOD, brief, rig } from '../helpers/rig.js';

vi.mock('#platform', async () => await import('../../src/platform/web.js'));
vi.mock('#transport', async () => await import('../../src/transport/runtime/web.js'));

describe('on the web', () => {
  test('a dispatcher is refused, since undici is not there to dispatch', () => {
    const build = () =>
      new KeyVerifier({
        verifyUrl: 'https://admin.test/verify',
        serviceToken: 'token-1',
        dispatcher: { dispatch: () => true },
      });
    expect(build).toThrow(InvalidOptionsError);
    expect(build).toThrow('dispatcher: undici does not run here: pass fetch or transport');
  });

  test('keys are verified by the global fetch, and remembered', async () => {
    const { server, build } = await rig();
    const verifier = build();
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(verifier.invalidate({ tenant: 'cust-A' })).toBe(1);
    expect(server.counts.requests).toBe(1);
  });
});
