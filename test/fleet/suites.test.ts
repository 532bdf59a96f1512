import { describe, onTestFinished, test } from 'vitest';

import { redisCache, redisRevocations } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';
import { memoryFleet, revocationSourceCases, sharedCacheCases, startKeyServer } from 'keyverify/testing';

import { CLIENTS, connectClient, startRedis, withoutRedis } from '../helpers/redis.js';

const secret = 'a-secret-of-at-least-thirty-two-characters';

describe('memoryFleet()', () => {
  for (const { name, run } of sharedCacheCases(() => memoryFleet().sharedCache)) test(name, run);
  for (const { name, run } of revocationSourceCases(() => ({ source: memoryFleet().revocations }))) test(name, run);
});

describe('sseRevocations()', () => {
  const make = async () => {
    const server = await startKeyServer({ serviceTokens: ['token'] });
    onTestFinished(async () => await server.close());
    return {
      source: sseRevocations(),
      // eslint-disable-next-line @typescript-eslint/require-await
      publish: async (revocation: Parameters<typeof server.publish>[0]) => server.publish(revocation),
      verifyUrl: server.verifyUrl,
      token: 'token',
    };
  };
  for (const { name, run } of revocationSourceCases(make)) test(name, run);
});

describe.skipIf(withoutRedis).each(CLIENTS)('Redis by %s', (client) => {
  const send = async () => await connectClient(client, (await startRedis()).port);
  const makeCache = async () => redisCache({ send: await send(), secret });
  const makeSource = async () => ({ source: redisRevocations({ send: await send(), pollMs: 10 }) });

  for (const { name, run } of sharedCacheCases(makeCache)) test(name, run);
  for (const { name, run } of revocationSourceCases(makeSource)) test(name, run);
});
