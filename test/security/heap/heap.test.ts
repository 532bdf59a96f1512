import { fork } from 'node:child_process';
import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, onTestFinished, test } from 'vitest';

import { startKeyServer, type Fault } from 'keyverify/testing';

import { ACME } from '../../helpers/rig.js';

const CONFIG = fileURLToPath(new URL('../../../tsconfig.node.json', import.meta.url));

test('no key is left on the heap once it was verified and the caller let go of it', { timeout: 60_000 }, async () => {
  const seed = randomUUID();
  const file = join(tmpdir(), `keyverify-${seed}.heapsnapshot`);
  onTestFinished(() => rmSync(file, { force: true }));
  const canary = (name: string): string => `sk-${hash('sha256', seed + name, 'hex')}`;
  const fingerprint = (name: string): string => hash('sha256', canary(name), 'hex');
  await using server = await startKeyServer({
    keys: {
      [canary('good')]: ACME,
      [canary('revoked')]: { ...ACME, reason: 'revoked' },
      [canary('ended')]: { ...ACME, expiresAt: 0 },
      [canary('left')]: ACME,
    },
    serviceTokens: ['service-token-0123456789'],
  });
  const faults: Record<string, Fault> = {
    hung: { kind: 'hang' },
    left: { kind: 'delay', ms: 100 },
    reset: { kind: 'reset-after-headers' },
    echoed: {
      kind: 'raw',
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        valid: true,
        client: canary('echoed'),
        tenant: 't',
        [canary('echoed')]: [canary('echoed')],
      }),
    },
  };
  const byFingerprint = new Map(Object.entries(faults).map(([name, fault]) => [fingerprint(name), fault]));
  server.injectFault((request) => byFingerprint.get(request.fingerprint ?? ''));

  const child = fork(new URL('./child.ts', import.meta.url), [server.verifyUrl, seed, file], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, TSX_TSCONFIG_PATH: CONFIG },
  });
  const [message] = (await once(child, 'message')) as [unknown];
  // The invalidated key, of which nothing else is known, is no entry.
  expect(message).toEqual({ results: 10, held: 67, entries: { verified: 2, rejected: 3 } });

  const heap = readFileSync(file, 'latin1');
  const found = (name: string): boolean => heap.includes(canary(name));
  const names = ['good', 'revoked', 'unknown', 'hung', 'reset', 'echoed', 'ended', 'peeked', 'invalidated', 'left'];
  expect([...names, 'malformed'].filter(found)).toEqual([]);
  // The search does find what is there.
  expect(found('held')).toBe(true);
});
