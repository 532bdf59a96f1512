import { setTimeout as sleep } from 'node:timers/promises';

import { onTestFinished } from 'vitest';

import { KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { redisCache, redisRevocations, type SendCommand } from 'keyverify/redis';
import { startKeyServer, type KeyServer } from 'keyverify/testing';

import { connectClient, startRedis, type ClientName } from './redis.js';
import type { RedisServer } from './redis-server.js';
import { ACME, GOOD, TOKEN } from './rig.js';

export const secret = 'a-secret-of-at-least-thirty-two-characters';
/** The stream of revocations. */
export const STREAM = 'keyverify:revocations';

/** A key server, a Redis and the verifiers that share it. */
export interface FleetRig {
  readonly redis: RedisServer;
  readonly server: KeyServer;
  readonly send: SendCommand;
  readonly member: <FailOpen extends boolean = false>(
    options?: KeyVerifierOptions<FailOpen>,
    with_?: { readonly send?: SendCommand; readonly secret?: string | readonly string[] },
  ) => KeyVerifier<FailOpen>;
  /** What is stored, with what is written in the background. */
  readonly entries: (count: number) => Promise<string[]>;
}

export async function fleetRig(client: ClientName = 'ioredis'): Promise<FleetRig> {
  const redis = await startRedis();
  const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN] });
  const send = await connectClient(client, redis.port);
  const members: KeyVerifier<boolean>[] = [];
  onTestFinished(async () => {
    redis.thaw();
    for (const verifier of members) await verifier.close();
    await server.close();
  });
  return {
    redis,
    server,
    send,
    member(options, given = {}) {
      const by = given.send ?? send;
      const verifier = new KeyVerifier({
        verifyUrl: server.verifyUrl,
        serviceToken: TOKEN,
        retries: 0,
        // Machines may be busy: what a slow store costs is another test.
        sharedTimeoutMs: 10_000,
        timeoutMs: 20_000,
        logger: { warn: () => undefined },
        sharedCache: redisCache({ send: by, secret: given.secret ?? secret }),
        revocations: redisRevocations({ send: by, pollMs: 20 }),
        ...options,
      });
      members.push(verifier);
      return verifier;
    },
    async entries(count) {
      for (;;) {
        const names = (await send(['KEYS', 'keyverify:v1:*'], '')) as string[];
        if (names.length >= count) return names.filter((name) => !name.endsWith(':lease'));
        await sleep(1);
      }
    },
  };
}

/** The name of the only entry. */
export const nameOf = async ({ entries }: FleetRig): Promise<string> => (await entries(1))[0] ?? '';
/** An entry as it lies in Redis. */
export const raw = async ({ send }: FleetRig, name: string): Promise<string> => String(await send(['GET', name], name));
