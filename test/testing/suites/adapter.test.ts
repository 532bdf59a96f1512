import realFs from 'node:fs';
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
  let opens = 0;
  // It finds no free descriptor once, and then it does.
  const fs = {
    ...realFs,
    openSync: (...args: Parameters<typeof realFs.openSync>) => {
      if (opens++ === 0) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
      return realFs.openSync(...args);
    },
  };
  const getBuiltinModule = process.getBuiltinModule.bind(process);
  const builtin = vi
    .spyOn(process, 'getBuiltinModule')
    .mockImplementation(((name: string): unknown =>
      name === 'node:fs' ? fs : getBuiltinModule(name)) as typeof getBuiltinModule);
  await cases.find((each) => each.name === name)?.run();
  expect(opens).toBeGreaterThan(1);
  builtin.mockRestore();
});
