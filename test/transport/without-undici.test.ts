import { expect, test, vi } from 'vitest';

import { loadUndici } from '../../src/transport/runtime/load-undici.js';
import { runtimeTransport } from '../../src/transport/runtime/node.js';
import { ask, serve } from '../helpers/http.js';

// As in a bundle of ES modules, where undici finds no require.
vi.mock('undici', () => {
  throw new Error('Dynamic require of "node:assert" is not supported');
});

test('an undici that cannot be loaded is replaced by fetch, with one warning', async () => {
  const { origin } = await serve((response) => response.end('fine'));
  const warn = vi.fn();
  for (const told of [warn, undefined]) {
    const transport = runtimeTransport({ verifyUrl: origin, timeoutMs: 2000, maxConcurrency: 64, warn: told });
    await transport.warmUp?.();
    for (let times = 0; times < 2; times++)
      expect(await transport.send(ask(origin)).response).toMatchObject({ status: 200 });
    await transport.close?.();
  }
  expect(warn.mock.calls).toEqual([
    [expect.stringContaining('keyverify: undici cannot be loaded, so fetch is used, which is slower') as string],
  ]);
});

test('undici is required where it cannot be imported, as in the CommonJS of Jest', async () => {
  const required = new Error('required');
  const commonJs = {
    require: vi.fn(() => {
      throw required;
    }),
  };
  await expect(loadUndici(commonJs)).rejects.toBe(required);
  expect(commonJs.require.mock.calls).toEqual([['undici']]);
  for (const none of [{}, false] as const) await expect(loadUndici(none)).rejects.not.toBeInstanceOf(TypeError);
});
