import { expect, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';

// As in a bundle of ES modules, where undici finds no require.
vi.mock('undici', () => {
  throw new Error('Dynamic require of "node:assert" is not supported');
});

test('an undici that can not be loaded is no outage: nobody is let in for it', async () => {
  const warn = vi.fn();
  const verifier = new KeyVerifier({
    verifyUrl: 'http://127.0.0.1:9/',
    serviceToken: 'service-token',
    failOpen: true,
    logger: { warn },
  });
  const result = await verifier.verify('sk-good-0123456789');
  expect(result).toMatchObject({ source: 'fail-closed', failure: { kind: 'misconfigured', attempts: 1 } });
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('undici can not be loaded'));
  await expect(verifier.warmUp()).rejects.toThrow('undici can not be loaded');
  await verifier.close();
});
