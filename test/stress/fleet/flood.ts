import { Redis } from 'ioredis';

import { KeyVerifier, type Exchange, type Transport } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';

import { RedisServer } from '../../helpers/redis-server.js';

const AT_ONCE = 32;

export interface FleetFlood {
  /** How many of the keys were rejected by the key server, each after a look into the shared cache. */
  readonly rejected: number;
  readonly looks: number;
  /** What lies in Redis afterwards, beside the stream of revocations. */
  readonly names: readonly string[];
}

/** Presents made-up keys, each once, to a process that shares its verdicts through a real Redis. */
export async function floodFleet(keys: number): Promise<FleetFlood> {
  const server = await RedisServer.start();
  const redis = new Redis(server.port, '127.0.0.1');
  const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
  const verifier = new KeyVerifier({
    verifyUrl: 'http://127.0.0.1/',
    serviceToken: 'token',
    transport: refusing,
    sharedCache: redisCache({ send, secret: 'a-secret-of-at-least-thirty-two-characters' }),
    // A machine may be busy: it is not about time here.
    sharedTimeoutMs: 10_000,
    timeoutMs: 20_000,
    revocations: redisRevocations({ send }),
    logger: false,
  });
  try {
    await verifier.warmUp();
    for (let i = 0; i < keys; i += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, keys - i) }, (_, n) => `sk-made-up-${i + n}`);
      await Promise.all(some.map(async (key) => await verifier.verify(key)));
    }
    await verifier.close();
    const { shared, statuses } = verifier.stats();
    const names = (await redis.keys('*')).filter((name) => !name.startsWith('keyverify:revocations'));
    return { rejected: statuses.rejected.server, looks: shared.misses, names };
  } finally {
    redis.disconnect();
    await server.close();
  }
}

const BODY = new TextEncoder().encode('{"valid":false,"reason":"unknown_key"}');
const refusing: Transport = {
  send(): Exchange {
    const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
    return { response: Promise.resolve({ status: 200, header, body: BODY }), abort: () => undefined };
  },
};
