import crypto from 'node:crypto';
import { createServer } from 'node:http';

import { apiKeyAuth } from 'keyverify/node';
import { adapterCases, adapterRoutes } from 'keyverify/testing';
import { expect, test, vi } from 'vitest';

import { listen } from '../../adapters/listen.js';

const cases = adapterCases({
  serve: async (verifier, handler) => {
    const listeners = Object.entries(adapterRoutes).map(
      ([path, options]) =>
        [
          path,
          apiKeyAuth(verifier, (_, res, identity) => void res.end(JSON.stringify(handler(identity))), options),
        ] as const,
    );
    const byPath = new Map(listeners);
    return await listen(createServer((req, res) => byPath.get(String(req.url))?.(req, res)));
  },
});

test('an adapter is not blamed for a machine that is too busy to tell its own load from an outage', async () => {
  const name = 'admits callers without an identity in an outage on a route that fails open, and on no other';
  const PING_MS = 100;
  // The pool of threads answers only after it has been found busy.
  const ping = vi.spyOn(crypto, 'randomFill').mockImplementationOnce((...args: unknown[]) => {
    const [bytes, answer] = args as [Uint8Array, (error: null, bytes: Uint8Array) => void];
    setTimeout(() => setImmediate(answer, null, bytes), PING_MS);
  });
  await cases.find((each) => each.name === name)?.run();
  expect(ping.mock.calls.length).toBeGreaterThan(1);
  ping.mockRestore();
});
