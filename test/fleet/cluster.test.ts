import { spawnSync } from 'node:child_process';

import { createCluster } from '@redis/client';
import { Cluster } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { redisCache, redisRevocations, type SendCommand } from 'keyverify/redis';
import { startKeyServer } from 'keyverify/testing';

import { startRedis, withoutRedis } from '../helpers/redis.js';
import { ACME, TOKEN, brief, until } from '../helpers/rig.js';

const secret = 'a-secret-of-at-least-thirty-two-characters';

/** Three nodes with a third of the slots each. */
async function startCluster(): Promise<readonly { host: string; port: number }[]> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'];
  const nodes = [await startRedis(args), await startRedis(args), await startRedis(args)];
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const made = spawnSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], { encoding: 'utf8' });
  expect(made.stdout).toContain('All 16384 slots covered');
  return nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
}

const CLIENTS: Readonly<Record<string, (nodes: readonly { host: string; port: number }[]) => Promise<SendCommand>>> = {
  // eslint-disable-next-line @typescript-eslint/require-await
  ioredis: async (nodes) => {
    const cluster = new Cluster([...nodes]);
    onTestFinished(() => cluster.disconnect());
    return async (command) => await cluster.call(...command);
  },
  'node-redis': async (nodes) => {
    const cluster = createCluster({ rootNodes: nodes.map(({ host, port }) => ({ url: `redis://${host}:${port}` })) });
    await cluster.connect();
    onTestFinished(() => cluster.destroy());
    return async (command, key) => await cluster.sendCommand(key, false, command);
  },
};

describe.skipIf(withoutRedis)('a Redis Cluster of three nodes', { timeout: 60_000 }, () => {
  test('serves verdicts and revocations by ioredis and node-redis', async () => {
    const nodes = await startCluster();
    const keys = Array.from({ length: 30 }, (_, i) => `sk-cluster-${i}`);
    const server = await startKeyServer({
      keys: Object.fromEntries(keys.map((key) => [key, ACME])),
      serviceTokens: [TOKEN],
    });
    onTestFinished(async () => await server.close());
    for (const [name, connect] of Object.entries(CLIENTS)) {
      const send = await connect(nodes);
      const prefix = `${name}:`;
      const member = (): KeyVerifier =>
        new KeyVerifier({
          verifyUrl: server.verifyUrl,
          serviceToken: TOKEN,
          sharedCache: redisCache({ send, secret, prefix }),
          revocations: redisRevocations({ send, prefix, pollMs: 20 }),
          sharedTimeoutMs: 1_000,
        });
      await using a = member();
      await using b = member();
      for (const verifier of [a, b]) await verifier.warmUp();
      for (const key of keys) expect(brief(await a.verify(key))).toBe('valid server');
      await until(() => a.stats().shared.misses === keys.length);
      for (const key of keys) expect(brief(await b.verify(key))).toBe('valid shared');
      await a.revoke({ tenant: ACME.tenant });
      await until(() => b.stats().revocations.messages === 1);
      expect(brief(await b.verify('sk-cluster-0'))).toBe('valid server');
    }
  });
});
